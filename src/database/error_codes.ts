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
  TOO_MANY_CONNECTIONS: busy("The database server has no free connection slot."),
  ACQUIRE_TIMEOUT: busy("No database connection became free in time."),
  POOL_CLOSED: refused("The service is shutting down."),
  ABORTED: refused("The database operation was aborted."),
  READ_ONLY: refused("The database is read-only at the moment."),
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
  "28": "AUTHENTICATION_FAILED",
  "25006": "READ_ONLY",
  "3D000": "DATABASE_NOT_FOUND",
  "53300": "TOO_MANY_CONNECTIONS",
  "57P01": "SERVER_SHUTTING_DOWN",
  "57P02": "SERVER_SHUTTING_DOWN",
  "57P03": "SERVER_STARTING",
  "57P04": "DATABASE_NOT_FOUND",
  "57P05": "CONNECTION_LOST",
};

/** Codes of the operating system, the resolver (EAI_*) and postgres.js. */
const SOCKET_CODES: Readonly<Record<string, DatabaseErrorCode>> = {
  ECONNREFUSED: "CONNECTION_REFUSED",
  // A unix socket that does not exist: the server is not running.
  ENOENT: "CONNECTION_REFUSED",
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
  CONNECT_TIMEOUT: "CONNECT_TIMEOUT",
  ECONNRESET: "CONNECTION_LOST",
  ECONNABORTED: "CONNECTION_LOST",
  EPIPE: "CONNECTION_LOST",
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
  return SOCKET_CODES[code];
}
