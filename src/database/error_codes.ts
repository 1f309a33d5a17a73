/** A code of a `DatabaseError`. Codes are stable: clients and alerts rely on them. */
export type DatabaseErrorCode =
  | "CONNECTION_REFUSED"
  | "HOST_UNREACHABLE"
  | "HOST_NOT_FOUND"
  | "CONNECT_TIMEOUT"
  | "CONNECTION_LOST"
  | "PING_TIMEOUT"
  | "SERVER_STARTING"
  | "SERVER_SHUTTING_DOWN"
  | "WRONG_SERVER_ROLE"
  | "AUTHENTICATION_FAILED"
  | "DATABASE_NOT_FOUND"
  | "TLS_FAILED"
  | "CONNECTION_REJECTED"
  | "POOLER_MISMATCH"
  | "TOO_MANY_CONNECTIONS"
  | "OUT_OF_RESOURCES"
  | "ACQUIRE_TIMEOUT"
  | "QUEUE_FULL"
  | "CIRCUIT_OPEN"
  | "STOPPED_BY_OPERATOR"
  | "NOT_PREPARED"
  | "POOL_CLOSED"
  | "ABORTED"
  | "STATEMENT_TIMEOUT"
  | "LOCK_TIMEOUT"
  | "SERIALIZATION_FAILURE"
  | "DEADLOCK"
  | "UNIQUE_VIOLATION"
  | "CONSTRAINT_VIOLATION"
  | "TRANSACTION_ABORTED"
  | "COMMIT_UNKNOWN"
  | "READ_ONLY"
  | "INVALID_USE"
  | "INSUFFICIENT_PRIVILEGE"
  | "QUERY_FAILED"
  | "MIGRATION_DIRTY"
  | "MIGRATION_FAILED"
  | "MIGRATION_LOCKED";

/** Properties of an error code. */
interface Meaning {
  /** Whether the same call may succeed later without intervention. */
  readonly retryable: boolean;
  /** Whether it means that the database is unavailable. */
  readonly outage: boolean;
  /** One sentence without internal details, safe to send to any client. */
  readonly publicMessage: string;
}

const outage = (publicMessage: string): Meaning => ({
  retryable: true,
  outage: true,
  publicMessage,
});
const misconfigured = (publicMessage: string): Meaning => ({
  retryable: false,
  outage: true,
  publicMessage,
});
const busy = (publicMessage: string): Meaning => ({
  retryable: true,
  outage: false,
  publicMessage,
});
const refused = (publicMessage: string): Meaning => ({
  retryable: false,
  outage: false,
  publicMessage,
});

/** Every code of a {@linkcode DatabaseError}. Codes are stable: clients and alerts rely on them. */
export const ERROR_CODES: Readonly<Record<DatabaseErrorCode, Meaning>> = {
  CONNECTION_REFUSED: outage("The database server refused the connection."),
  HOST_UNREACHABLE: outage("The database host is unreachable."),
  HOST_NOT_FOUND: outage("The database host name cannot be resolved."),
  CONNECT_TIMEOUT: outage("Connecting to the database timed out."),
  CONNECTION_LOST: outage("The connection to the database was lost."),
  PING_TIMEOUT: outage("The database did not respond in time."),
  SERVER_STARTING: outage("The database server is starting up, shutting down or in recovery."),
  SERVER_SHUTTING_DOWN: outage("The database server is shutting down."),
  WRONG_SERVER_ROLE: outage("No database server has the required role."),
  AUTHENTICATION_FAILED: misconfigured("The database rejected the credentials of the service."),
  DATABASE_NOT_FOUND: misconfigured("The configured database does not exist."),
  TLS_FAILED: misconfigured("The TLS connection to the database failed."),
  CONNECTION_REJECTED: misconfigured("The database server rejected the connection."),
  POOLER_MISMATCH: misconfigured(
    "The service is not configured for the connection pooler in front of the database.",
  ),
  // Not an outage: open connections keep working, and an open circuit would stop them.
  TOO_MANY_CONNECTIONS: busy("The database server has no free connection slots."),
  // Not an outage: a full disk fails writes, but not reads.
  OUT_OF_RESOURCES: busy("The database server is out of disk space or memory."),
  ACQUIRE_TIMEOUT: busy("Timed out waiting for a database connection."),
  QUEUE_FULL: busy("Too many callers are waiting for a database connection."),
  CIRCUIT_OPEN: outage("Database access is suspended because the database is unavailable."),
  STOPPED_BY_OPERATOR: outage("An operator has stopped database access."),
  NOT_PREPARED: outage("The database schema is not ready yet."),
  POOL_CLOSED: refused("The service is shutting down."),
  ABORTED: refused("The database operation was canceled."),
  STATEMENT_TIMEOUT: busy("The database operation timed out."),
  LOCK_TIMEOUT: busy("Timed out waiting for a lock held by another operation."),
  SERIALIZATION_FAILURE: busy("The transaction conflicted with another transaction."),
  DEADLOCK: busy("The transaction was rolled back because of a deadlock."),
  UNIQUE_VIOLATION: refused("An entry with this key already exists."),
  CONSTRAINT_VIOLATION: refused("The data violates a database constraint."),
  TRANSACTION_ABORTED: refused(
    "The transaction was rolled back because one of its statements failed.",
  ),
  // Not retryable: the caller must first check whether the transaction took effect.
  COMMIT_UNKNOWN: refused("It is unknown whether the transaction was committed."),
  READ_ONLY: refused("The database is read-only."),
  INVALID_USE: refused("The service used the database incorrectly."),
  INSUFFICIENT_PRIVILEGE: refused("The service lacks a database privilege for this operation."),
  QUERY_FAILED: refused("The database failed to execute the query."),
  MIGRATION_DIRTY: misconfigured("A database migration did not complete."),
  MIGRATION_FAILED: misconfigured("A database migration failed."),
  MIGRATION_LOCKED: outage("Another process is running database migrations."),
};

/**
 * SQLSTATE to code. Five characters are one condition, two a class; the longer match takes precedence. Source: PostgreSQL documentation, appendix A.
 */
const SQLSTATES: Readonly<Record<string, DatabaseErrorCode>> = {
  "08": "CONNECTION_LOST",
  "08007": "COMMIT_UNKNOWN",
  "23": "CONSTRAINT_VIOLATION",
  "23505": "UNIQUE_VIOLATION",
  "25006": "READ_ONLY",
  "25P02": "TRANSACTION_ABORTED",
  "28": "AUTHENTICATION_FAILED",
  "3D000": "DATABASE_NOT_FOUND",
  "40001": "SERIALIZATION_FAILURE",
  "40002": "CONSTRAINT_VIOLATION",
  "40003": "COMMIT_UNKNOWN",
  "40P01": "DEADLOCK",
  "42501": "INSUFFICIENT_PRIVILEGE",
  "53": "OUT_OF_RESOURCES",
  "53300": "TOO_MANY_CONNECTIONS",
  // The statement exceeded a configured limit, such as temp_file_limit.
  "53400": "QUERY_FAILED",
  "55P03": "LOCK_TIMEOUT",
  // statement_timeout, or pg_cancel_backend, which administrators mostly use for the same reason.
  "57014": "STATEMENT_TIMEOUT",
  "57P01": "SERVER_SHUTTING_DOWN",
  "57P02": "SERVER_SHUTTING_DOWN",
  "57P03": "SERVER_STARTING",
  "57P04": "DATABASE_NOT_FOUND",
  "57P05": "CONNECTION_LOST",
};

/** Codes of the operating system and the resolver (EAI_*). */
const SYSTEM_CODES: Readonly<Record<string, DatabaseErrorCode>> = {
  ECONNREFUSED: "CONNECTION_REFUSED",
  EHOSTUNREACH: "HOST_UNREACHABLE",
  EHOSTDOWN: "HOST_UNREACHABLE",
  ENETUNREACH: "HOST_UNREACHABLE",
  ENETDOWN: "HOST_UNREACHABLE",
  EADDRNOTAVAIL: "HOST_UNREACHABLE",
  ENOTFOUND: "HOST_NOT_FOUND",
  EAI_AGAIN: "HOST_NOT_FOUND",
  EAI_FAIL: "HOST_NOT_FOUND",
  EAI_NODATA: "HOST_NOT_FOUND",
  EAI_NONAME: "HOST_NOT_FOUND",
  ETIMEDOUT: "CONNECT_TIMEOUT",
  ECONNRESET: "CONNECTION_LOST",
  ECONNABORTED: "CONNECTION_LOST",
  EPIPE: "CONNECTION_LOST",
};

/** Codes of node:stream and postgres.js. */
const DRIVER_CODES: Readonly<Record<string, DatabaseErrorCode>> = {
  CONNECT_TIMEOUT: "CONNECT_TIMEOUT",
  ERR_STREAM_DESTROYED: "CONNECTION_LOST",
  ERR_STREAM_WRITE_AFTER_END: "CONNECTION_LOST",
  CONNECTION_CLOSED: "CONNECTION_LOST",
  CONNECTION_DESTROYED: "CONNECTION_LOST",
  CONNECTION_ENDED: "CONNECTION_LOST",
  SASL_SIGNATURE_MISMATCH: "AUTHENTICATION_FAILED",
};

/** The code for an SQLSTATE of the server; `QUERY_FAILED` if the statement itself failed. */
export function codeOfSqlState(sqlState: string): DatabaseErrorCode {
  return SQLSTATES[sqlState] ?? SQLSTATES[sqlState.slice(0, 2)] ?? "QUERY_FAILED";
}

/** The code for an error code of a socket, the resolver or the driver; undefined for any other. */
export function codeOfSocketError(code: string): DatabaseErrorCode | undefined {
  return SYSTEM_CODES[code] ?? DRIVER_CODES[code];
}

/** The code for an error code of the operating system or the resolver; undefined for any other. */
export function codeOfSystemError(code: string): DatabaseErrorCode | undefined {
  return SYSTEM_CODES[code];
}

/** The SQLSTATE of nearly every error that PgBouncer itself reports. */
const PROTOCOL_VIOLATION = "08P01";

/** PgBouncer's own messages, which are not localized, and those that it forwards from a login. */
const POOLER_MESSAGES: readonly (readonly [RegExp, DatabaseErrorCode])[] = [
  [/^(query_wait_timeout|no more connections allowed)/, "TOO_MANY_CONNECTIONS"],
  [/cannot connect to server|^server login has been failing/, "CONNECTION_REFUSED"],
  [/authentication failed|^(no such user|login rejected|TLS required)/, "AUTHENTICATION_FAILED"],
  [/^(no such database|database ".*" does not exist)/, "DATABASE_NOT_FOUND"],
  [/shutting down|shut down/, "SERVER_SHUTTING_DOWN"],
  [/^unsupported startup parameter/, "POOLER_MISMATCH"],
];

/**
 * The code for an error that PgBouncer itself reports; undefined for an error of the server. PgBouncer
 * has one SQLSTATE for nearly all of them, so only the message distinguishes them.
 *
 * Source: PgBouncer 1.18, src/client.c, src/janitor.c and src/objects.c.
 */
export function codeOfPoolerError(
  sqlState: string,
  message: string,
): DatabaseErrorCode | undefined {
  if (sqlState !== PROTOCOL_VIOLATION) return undefined;
  return POOLER_MESSAGES.find(([pattern]) => pattern.test(message))?.[1];
}
