/** What an error code means to whoever gets it. */
interface Meaning {
  /** Whether the same call may succeed later with nothing changed. */
  readonly retryable: boolean;
  /** Whether it says that the database cannot be used at all at the moment. */
  readonly outage: boolean;
  /** One sentence that is safe to send to any client. */
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
export const ERROR_CODES = {
  CONNECTION_REFUSED: outage("The database server refuses connections."),
  HOST_UNREACHABLE: outage("The database host cannot be reached."),
  HOST_NOT_FOUND: outage("The database host name cannot be resolved."),
  CONNECT_TIMEOUT: outage("The database server did not accept a connection in time."),
  CONNECTION_LOST: outage("The connection to the database was lost."),
  PING_TIMEOUT: outage("The database did not answer in time."),
  SERVER_STARTING: outage("The database server is starting, stopping or recovering."),
  SERVER_SHUTTING_DOWN: outage("The database server is shutting down."),
  WRONG_SERVER_ROLE: outage("No database server has the requested role."),
  AUTHENTICATION_FAILED: misconfigured("The database rejected the service's credentials."),
  DATABASE_NOT_FOUND: misconfigured("The configured database does not exist."),
  TLS_FAILED: misconfigured("No secure connection to the database could be made."),
  CONNECTION_REJECTED: misconfigured("The database server rejected the connection."),
  POOLER_MISMATCH: misconfigured(
    "A connection pooler is in the way that the service is not set up for.",
  ),
  // Not an outage: the connections that are open go on working, and an open circuit would stop them.
  TOO_MANY_CONNECTIONS: busy("The database server has no free connection slot."),
  // Not an outage: a full disk stops writes, and reads go on.
  OUT_OF_RESOURCES: busy("The database server is out of disk space or memory."),
  ACQUIRE_TIMEOUT: busy("No database connection became free in time."),
  QUEUE_FULL: busy("Too many callers wait for a database connection."),
  CIRCUIT_OPEN: outage("The database failed or was stopped, so it is not asked at the moment."),
  STOPPED_BY_OPERATOR: outage("An operator has stopped the use of the database."),
  NOT_PREPARED: outage("The database is not prepared for use yet."),
  POOL_CLOSED: refused("The service is shutting down."),
  ABORTED: refused("The database operation was aborted."),
  STATEMENT_TIMEOUT: busy("The database operation took too long and was stopped."),
  LOCK_TIMEOUT: busy("Another operation holds a lock on the data for too long."),
  SERIALIZATION_FAILURE: busy("The transaction conflicted with another one."),
  DEADLOCK: busy("The transaction and another one waited for each other."),
  UNIQUE_VIOLATION: refused("Such an entry exists already."),
  CONSTRAINT_VIOLATION: refused("The data breaks a rule of the database."),
  TRANSACTION_ABORTED: refused("The transaction was rolled back because a statement had failed."),
  // Not retryable and not an outage: whoever tries again must look first whether it is done.
  COMMIT_UNKNOWN: refused("It is unknown whether the change was committed."),
  READ_ONLY: refused("The database is read-only at the moment."),
  INVALID_USE: refused("The service used the database in a wrong way."),
  INSUFFICIENT_PRIVILEGE: refused("The service may not do this in the database."),
  QUERY_FAILED: refused("The database could not run the query."),
  MIGRATION_DIRTY: misconfigured("A database migration was left unfinished."),
  MIGRATION_FAILED: misconfigured("A database migration failed."),
  MIGRATION_LOCKED: outage("Another process is migrating the database."),
} as const satisfies Record<string, Meaning>;

export type DatabaseErrorCode = keyof typeof ERROR_CODES;

/**
 * SQLSTATE to code. Five characters name one condition, two a whole class; the
 * longer match wins. Source: PostgreSQL documentation, appendix A.
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
  // A limit that the statement itself is over, such as temp_file_limit.
  "53400": "QUERY_FAILED",
  "55P03": "LOCK_TIMEOUT",
  // statement_timeout, or somebody's pg_cancel_backend, which mostly has the same reason.
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

/** The code for a server's SQLSTATE; `QUERY_FAILED` when the failure is the statement's own. */
export function codeOfSqlState(sqlState: string): DatabaseErrorCode {
  return SQLSTATES[sqlState] ?? SQLSTATES[sqlState.slice(0, 2)] ?? "QUERY_FAILED";
}

/** The code for a socket, resolver or driver error code; undefined when it is none of these. */
export function codeOfSocketError(code: string): DatabaseErrorCode | undefined {
  return SYSTEM_CODES[code] ?? DRIVER_CODES[code];
}

/** The code for an error of the operating system or the resolver; undefined when it is neither. */
export function codeOfSystemError(code: string): DatabaseErrorCode | undefined {
  return SYSTEM_CODES[code];
}
