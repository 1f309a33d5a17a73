import {
  codeOfPoolerError,
  codeOfSocketError,
  codeOfSqlState,
  type DatabaseErrorCode,
  ERROR_CODES,
} from "./error_codes.ts";

export type { DatabaseErrorCode } from "./error_codes.ts";

/** Optional details of a {@linkcode DatabaseError}. */
export interface DatabaseErrorOptions {
  /** For logs. Default: the public message. Must not contain secrets. */
  readonly message?: string | undefined;
  /** The underlying error; copied without the fields that can contain data. */
  readonly cause?: unknown;
  /** SQLSTATE of the server, if it sent one. */
  readonly sqlState?: string | undefined;
  /** Milliseconds after which the same call may succeed, if known. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * An error of the database layer. `code` identifies the error and is stable; `publicMessage` is
 * safe for all clients; `message` and `cause` are for logs: they contain host names and the primary
 * message of the server, but no credentials, SQL or parameters.
 */
export class DatabaseError extends Error {
  /** `DatabaseError`. */
  override readonly name = "DatabaseError";
  /** Identifies the error; codes are stable. */
  readonly code: DatabaseErrorCode;
  /** Whether the same call may succeed later without intervention. */
  readonly retryable: boolean;
  /** One sentence without internal details, safe to send to any client. */
  readonly publicMessage: string;
  /** SQLSTATE of the server, if it sent one. */
  readonly sqlState: string | undefined;
  /** Milliseconds after which the same call may succeed, if known. */
  readonly retryAfterMs: number | undefined;

  /** Creates an error with the properties and the public message of its code. */
  constructor(code: DatabaseErrorCode, options: DatabaseErrorOptions = {}) {
    const { retryable, publicMessage } = ERROR_CODES[code];
    super(options.message ?? publicMessage);
    if (options.cause !== undefined) {
      // Not enumerable, as in other errors; loggers and inspect read it by name.
      Object.defineProperty(this, "cause", {
        value: withoutData(options.cause),
        configurable: true,
        writable: true,
      });
    }
    this.code = code;
    this.retryable = retryable;
    this.publicMessage = publicMessage;
    this.sqlState = options.sqlState;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** Whether it means that the database is unavailable. */
  get isOutage(): boolean {
    return ERROR_CODES[this.code].outage;
  }
}

/**
 * Converts an error of the driver, the network or the resolver to a {@linkcode DatabaseError}: by
 * SQLSTATE if the server sent one, otherwise by the code of the error. Returns a `DatabaseError`
 * unchanged.
 */
export function classify(error: unknown): DatabaseError {
  if (error instanceof DatabaseError) return error;
  if (!(error instanceof Error)) return new DatabaseError("QUERY_FAILED", { cause: error });
  const code = String(codeOf(error));
  if (error.name === "PostgresError") {
    return new DatabaseError(codeOfServerError(error, code), {
      message: `${messageWithoutData(error)} (SQLSTATE ${code})`,
      cause: error,
      sqlState: code,
    });
  }
  return new DatabaseError(codeOfSocketError(code) ?? "QUERY_FAILED", {
    message: error.message,
    cause: error,
  });
}

/**
 * Returns the error for an aborted signal: its reason if that is a DatabaseError, else `ABORTED`.
 */
export function abortReason(signal: AbortSignal | undefined): DatabaseError {
  const reason: unknown = signal?.reason;
  return reason instanceof DatabaseError ? reason : new DatabaseError("ABORTED", { cause: reason });
}

/** After a non-fatal error the session continues, so it is no outage, whatever its SQLSTATE. */
function codeOfServerError(error: Error, sqlState: string): DatabaseErrorCode {
  const pooler = codeOfPoolerError(sqlState, error.message);
  if (pooler !== undefined) return pooler;
  const code = codeOfSqlState(sqlState);
  // Such as 08P01 for a wrong number of parameters, or 08001 for a foreign server.
  const sessionGoesOn = Reflect.get(error, "severity") === "ERROR";
  return ERROR_CODES[code].outage && sessionGoesOn ? "QUERY_FAILED" : code;
}

function codeOf(error: Error): unknown {
  return "code" in error ? error.code : undefined;
}

/**
 * Fields that help to diagnose an error. All other fields of driver errors (statement, parameters,
 * `detail` and `where` with values of rows, options) are omitted.
 */
const KEPT_FIELDS = [
  "code",
  "syscall",
  "address",
  "port",
  "severity",
  "routine",
  "position",
  "schema_name",
  "table_name",
  "column_name",
  "constraint_name",
] as const;

/**
 * `dependent_objects_still_exist`: its detail lists those objects and contains no values of rows.
 */
const DEPENDENT_OBJECTS = "2BP01";

function messageWithoutData(error: Error): string {
  const { message } = error;
  if (error.name !== "PostgresError") return message;
  const code = String(codeOf(error));
  if (code.startsWith("22")) return messageWithoutValue(error);
  const detail: unknown = code === DEPENDENT_OBJECTS ? Reflect.get(error, "detail") : undefined;
  return detail ? `${message}: ${String(detail).replaceAll("\n", "; ")}` : message;
}

/**
 * Messages of data exceptions (class 22) contain the offending value, between quotation marks or
 * after a colon. In other languages than English its position is unknown. The language usually
 * shows in the localized severity; some languages share it with English, but use other quotation
 * marks.
 */
function messageWithoutValue(error: Error): string {
  if (Reflect.get(error, "severity_local") !== Reflect.get(error, "severity")) {
    return "Message omitted: it is not in English, and may contain a value";
  }
  return error.message.replace(/\p{Quotation_Mark}[^]*\p{Quotation_Mark}|(?<=: )[^]+/gu, '"…"');
}

function withoutData(error: unknown): unknown {
  if (error instanceof DatabaseError) return error;
  if (error instanceof AggregateError) {
    return new AggregateError(error.errors.map(withoutData), error.message);
  }
  if (!(error instanceof Error)) return typeof error === "string" ? error : undefined;
  const message = messageWithoutData(error);
  const copy = new Error(message);
  Object.defineProperty(copy, "name", { value: error.name });
  // Computed only when read: formatting a stack is slow.
  Object.defineProperty(copy, "stack", {
    get: () => error.stack?.replace(error.message, () => message),
  });
  for (const field of KEPT_FIELDS) {
    const value: unknown = Reflect.get(error, field);
    if (value !== undefined) Object.defineProperty(copy, field, { value, enumerable: true });
  }
  return copy;
}
