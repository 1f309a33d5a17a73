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
