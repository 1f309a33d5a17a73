import type { DatabaseErrorCode } from "./error_codes.ts";

/** What PgBouncer gives for nearly everything that it says itself. */
const PROTOCOL_VIOLATION = "08P01";

/** PgBouncer's own messages, which no locale translates, and those that it passes on from a login. */
const MESSAGES: readonly (readonly [RegExp, DatabaseErrorCode])[] = [
  [/^(query_wait_timeout|no more connections allowed)/, "TOO_MANY_CONNECTIONS"],
  [/cannot connect to server|^server login has been failing/, "CONNECTION_REFUSED"],
  [/authentication failed|^(no such user|login rejected|TLS required)/, "AUTHENTICATION_FAILED"],
  [/^(no such database|database ".*" does not exist)/, "DATABASE_NOT_FOUND"],
  [/shutting down|shut down/, "SERVER_SHUTTING_DOWN"],
  [/^unsupported startup parameter/, "POOLER_MISMATCH"],
];

/**
 * The code for an error that PgBouncer made up; undefined when it is a server's. PgBouncer has one
 * SQLSTATE for all of them, so the message must tell.
 *
 * Source: PgBouncer 1.18, src/client.c, src/janitor.c and src/objects.c.
 */
export function codeOfPoolerError(
  sqlState: string,
  message: string,
): DatabaseErrorCode | undefined {
  if (sqlState !== PROTOCOL_VIOLATION) return undefined;
  return MESSAGES.find(([pattern]) => pattern.test(message))?.[1];
}
