import type { DatabaseConfig } from "../../config/mod.ts";
import { CircuitBreaker } from "../circuit_breaker/mod.ts";
import type { Clock } from "../clock.ts";
import { DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { PoolStats } from "../pool/mod.ts";

/** The caller's, the pool's or another circuit's affair: they say nothing about this database. */
const IGNORED: ReadonlySet<DatabaseErrorCode> = new Set([
  "ABORTED",
  "ACQUIRE_TIMEOUT",
  "QUEUE_FULL",
  "POOL_CLOSED",
  "CIRCUIT_OPEN",
  "STOPPED_BY_OPERATOR",
  "NOT_PREPARED",
  // A slow statement or a frozen server: the ping that follows tells which.
  "STATEMENT_TIMEOUT",
]);

/** The circuit breaker before a database. */
export function createCircuit(
  config: DatabaseConfig,
  { logger, clock, random }: {
    readonly logger: Logger;
    readonly clock: Clock;
    readonly random: () => number;
  },
): CircuitBreaker {
  return new CircuitBreaker({
    consecutiveFailureThreshold: config.circuitFailureThreshold,
    initialOpenMs: config.retryInitialDelayMs,
    maxOpenMs: config.retryMaxDelayMs,
    // The only probe is the recovery's, which has limits of its own.
    probeTimeoutMs: Infinity,
    isFailure,
    isIgnored,
    onListenerError: (err) => {
      logger.error({ event: "database.listener_failed", err }, "A listener failed");
    },
    clock,
    random,
  });
}

/** Whether an error says nothing about the database. */
function isIgnored(error: unknown): boolean {
  return !(error instanceof DatabaseError) || IGNORED.has(error.code);
}

/** What an error says of the database: of an unknown outcome, only what made it unknown does. */
export function newsOf(error: DatabaseError): DatabaseError {
  const { code, cause } = error;
  return code === "COMMIT_UNKNOWN" && cause instanceof DatabaseError ? cause : error;
}

/** Whether an error says that the database does not work. All others are answers of it. */
export function isFailure(error: unknown): boolean {
  if (!(error instanceof DatabaseError) || IGNORED.has(error.code)) return false;
  // The server itself can say so too (SQLSTATE 08007).
  return error.isOutage || error.code === "COMMIT_UNKNOWN";
}

/** Whether the database should be asked how it is after this error. */
export function isSuspicious(error: DatabaseError, { connecting }: PoolStats): boolean {
  switch (error.code) {
    case "STATEMENT_TIMEOUT":
      return true;
    // Perhaps it is the caller's read-only transaction; perhaps the server takes no writes.
    case "READ_ONLY":
      return true;
    // A pool that is merely busy is not suspicious.
    case "ACQUIRE_TIMEOUT":
      return connecting > 0;
    default:
      return isFailure(error);
  }
}
