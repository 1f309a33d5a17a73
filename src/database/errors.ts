import {
  codeOfPoolerError,
  codeOfSocketError,
  codeOfSqlState,
  type DatabaseErrorCode,
  ERROR_CODES,
} from "./error_codes.ts";

export type { DatabaseErrorCode } from "./error_codes.ts";

/** Optional parts of a {@linkcode DatabaseError}. */
export interface DatabaseErrorOptions {
  /** For logs; the default is the public message. Must hold no secret. */
  readonly message?: string | undefined;
  /** What led to this error; it is copied without the fields that can carry data. */
  readonly cause?: unknown;
  /** The server's SQLSTATE, when it sent one. */
  readonly sqlState?: string | undefined;
  /** When the same call may succeed, in milliseconds from now, where that is known. */
  readonly retryAfterMs?: number | undefined;
}

/**
 * Every failure of the database layer. `code` says what happened and never
 * changes its spelling, `publicMessage` may be shown to anyone, and `message`
 * and `cause` are for the log: they name hosts and repeat the server's primary
 * message, but hold no credentials, SQL or parameters.
 */
export class DatabaseError extends Error {
  /** `DatabaseError`. */
  override readonly name = "DatabaseError";
  /** What happened; never changes its spelling. */
  readonly code: DatabaseErrorCode;
  /** Whether the same call may succeed later with nothing changed. */
  readonly retryable: boolean;
  /** One sentence that is safe to send to any client. */
  readonly publicMessage: string;
  /** The server's SQLSTATE, when it sent one. */
  readonly sqlState: string | undefined;
  /** When the same call may succeed, in milliseconds from now, where that is known. */
  readonly retryAfterMs: number | undefined;

  /** Makes an error with the meaning and the public message of its code. */
  constructor(code: DatabaseErrorCode, options: DatabaseErrorOptions = {}) {
    const { retryable, publicMessage } = ERROR_CODES[code];
    super(options.message ?? publicMessage);
    if (options.cause !== undefined) {
      // Not enumerable, as in every other Error; loggers and inspect find it by name.
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

  /** Whether this says that the database cannot be used at all at the moment. */
  get isOutage(): boolean {
    return ERROR_CODES[this.code].outage;
  }
}

/** Whether the error came from the driver, the network or this layer, rather than from the caller. */
export function isDatabaseFailure(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  if (error instanceof DatabaseError || error.name === "PostgresError") return true;
  return codeOfSocketError(String(codeOf(error))) !== undefined;
}

/**
 * Turns whatever the driver, the network or the resolver threw into a
 * {@linkcode DatabaseError}: by SQLSTATE when the server sent one, else by the
 * error's code. A `DatabaseError` is returned as it is.
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

/** The error to throw for an aborted signal: its reason when that is ours, else `ABORTED`. */
export function abortReason(signal: AbortSignal | undefined): DatabaseError {
  const reason: unknown = signal?.reason;
  return reason instanceof DatabaseError ? reason : new DatabaseError("ABORTED", { cause: reason });
}

/** After an error that is not fatal the session goes on: no outage, whatever its SQLSTATE says. */
function codeOfServerError(error: Error, sqlState: string): DatabaseErrorCode {
  const pooler = codeOfPoolerError(sqlState, error.message);
  if (pooler !== undefined) return pooler;
  const code = codeOfSqlState(sqlState);
  // For instance 08P01 for a wrong number of parameters, or 08001 for a foreign server.
  const sessionGoesOn = Reflect.get(error, "severity") === "ERROR";
  return ERROR_CODES[code].outage && sessionGoesOn ? "QUERY_FAILED" : code;
}

function codeOf(error: Error): unknown {
  return "code" in error ? error.code : undefined;
}

/**
 * Fields that help to find a fault. Everything else a driver hangs on an error
 * (statement, parameters, `detail` and `where` with values of rows, options) is left out.
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

/** `dependent_objects_still_exist`: its detail names those objects, and has no row's values. */
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
 * Data exceptions (class 22) tell the value that they are about, between quotation marks or after
 * a colon. In another language than English it could be anywhere. The word for the severity shows
 * the language mostly: some languages have the same one, and other quotation marks.
 */
function messageWithoutValue(error: Error): string {
  if (Reflect.get(error, "severity_local") !== Reflect.get(error, "severity")) {
    return "The server's message is left out: it is not in English, and can hold a value";
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
  // Read only when shown: writing out a stack is slow.
  Object.defineProperty(copy, "stack", {
    get: () => error.stack?.replace(error.message, () => message),
  });
  for (const field of KEPT_FIELDS) {
    const value: unknown = Reflect.get(error, field);
    if (value !== undefined) Object.defineProperty(copy, field, { value, enumerable: true });
  }
  return copy;
}
