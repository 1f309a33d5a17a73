/** The part of a structured logger, for instance pino, that the database layer uses. */
export interface Logger {
  /** Logs what happened as it should. */
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  /** Logs what needs attention soon. */
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  /** Logs a failure. */
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** Drops everything. */
export const silentLogger: Logger = { info() {}, warn() {}, error() {} };

/** The same logger, with the name of the database in every record. */
export function namedLogger(logger: Logger, database: string): Logger {
  return {
    info: (fields, message) => logger.info({ ...fields, database }, message),
    warn: (fields, message) => logger.warn({ ...fields, database }, message),
    error: (fields, message) => logger.error({ ...fields, database }, message),
  };
}
