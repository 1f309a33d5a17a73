/** The methods of a structured logger, such as pino, that the database layer calls. */
export interface Logger {
  /** Logs a normal event. */
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  /** Logs an event that needs attention soon. */
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  /** Logs a failure. */
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Discards all records. */
export const silentLogger: Logger = { info() {}, warn() {}, error() {} };

/** The same logger, with the name of the database in every record. */
export function namedLogger(logger: Logger, database: string): Logger {
  return {
    info: (fields, message) => logger.info({ ...fields, database }, message),
    warn: (fields, message) => logger.warn({ ...fields, database }, message),
    error: (fields, message) => logger.error({ ...fields, database }, message),
  };
}
