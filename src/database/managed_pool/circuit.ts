import { CircuitBreaker, type CircuitPermit } from "../circuit_breaker/mod.ts";
import { DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import type { PoolStats } from "../pool/mod.ts";
import { slowDelay } from "../retry.ts";
import type { PoolContext } from "./context.ts";

/** Errors of the caller, the pool or another circuit. They say nothing about this database. */
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

/** What {@linkcode Circuit} needs of its pool's context. */
export type CircuitContext = Pick<PoolContext, "config" | "logger" | "clock" | "random">;

/**
 * The one place that decides whether a call may go to the database now: the circuit breaker, and
 * the error that explains why it is not closed.
 */
export class Circuit {
  /** What operators see. Half-open, its permit is for the recovery only. */
  readonly breaker: CircuitBreaker;
  readonly #context: CircuitContext;
  #outage: DatabaseError | undefined;
  #isShutDown = false;

  /** Starts closed: the recovery finds out at once whether that is right. */
  constructor(context: CircuitContext) {
    const { config, logger, clock, random } = context;
    this.#context = context;
    this.breaker = new CircuitBreaker({
      consecutiveFailureThreshold: config.circuitFailureThreshold,
      initialOpenMs: config.retryInitialDelayMs,
      maxOpenMs: config.retryMaxDelayMs,
      // The only probe is the recovery's, which has time limits of its own.
      probeTimeoutMs: Infinity,
      isFailure,
      isIgnored,
      onListenerError: (err) => {
        logger.error({ event: "database.listener_failed", err }, "A listener failed");
      },
      clock,
      random,
    });
    this.breaker.onTransition(({ reason, cause }) => {
      if (reason !== "forced") return;
      const message = `An operator stopped the use of the database: ${cause}`;
      this.#outage = new DatabaseError("STOPPED_BY_OPERATOR", { message });
    });
  }

  /** Why the circuit is not closed; undefined while it is. */
  get outage(): DatabaseError | undefined {
    return this.breaker.state === "closed" ? undefined : this.#outage;
  }

  /** Whether the pool is closing, so that no call gets a permit any more. */
  get isShutDown(): boolean {
    return this.#isShutDown;
  }

  /**
   * Acquires the permit for one call.
   *
   * @throws {DatabaseError} `CIRCUIT_OPEN`, with the outage as its cause, or `POOL_CLOSED`.
   */
  acquire(): CircuitPermit {
    if (this.#isShutDown) throw new DatabaseError("POOL_CLOSED");
    const permit = this.breaker.tryAcquire();
    // Probes are the recovery's: no caller pays for finding out.
    if (permit !== undefined && !permit.isProbe) return permit;
    permit?.ignore();
    throw this.openError();
  }

  /** The error for a caller that gets no permit. */
  openError(): DatabaseError {
    const { retryAfterMs } = this.breaker.rejection();
    const cause = this.#outage;
    return new DatabaseError("CIRCUIT_OPEN", {
      message: `The circuit breaker is open: ${cause?.code}, ${cause?.message}`,
      cause,
      retryAfterMs,
    });
  }

  /** A caller's call failed: the breaker counts it, and opens after too many. */
  callFailed(permit: CircuitPermit, error: DatabaseError): void {
    if (isFailure(error)) this.#explain(error);
    permit.failure(error);
  }

  /** A ping failed: an outage opens the circuit at once; any other error does nothing. */
  pingFailed(permit: CircuitPermit, error: DatabaseError): void {
    if (!error.isOutage) return;
    this.#explain(error);
    permit.trip(error, { minOpenMs: this.#minOpenMs(error) });
  }

  /** The recovery failed, whatever the error: the circuit opens, or stays open for longer. */
  recoveryFailed(permit: CircuitPermit, error: DatabaseError): void {
    this.#outage = error;
    permit.trip(error, { minOpenMs: this.#minOpenMs(error) });
  }

  /** Gives no permit to a call any more. */
  shutDown(): void {
    this.#isShutDown = true;
  }

  /** What needs somebody's intervention, such as a wrong password, is tried again rarely. */
  #minOpenMs({ retryable }: DatabaseError): number {
    const { config: { authRetryDelayMs }, random } = this.#context;
    return retryable ? 0 : slowDelay({ authRetryDelayMs, random });
  }

  /** Keeps the error that explains an opening; calls that fail later do not replace it. */
  #explain(error: DatabaseError): void {
    if (this.breaker.state === "closed") this.#outage = error;
  }
}

/** Whether an error says nothing about the database. */
function isIgnored(error: unknown): boolean {
  return !(error instanceof DatabaseError) || IGNORED.has(error.code);
}

/** Whether an error says that the database does not work. All others are its answers. */
function isFailure(error: unknown): boolean {
  if (!(error instanceof DatabaseError) || IGNORED.has(error.code)) return false;
  // The server itself can say so too (SQLSTATE 08007).
  return error.isOutage || error.code === "COMMIT_UNKNOWN";
}

/** The error to judge the database by: for an unknown outcome, the one that made it unknown. */
export function decisiveError(error: DatabaseError): DatabaseError {
  const { code, cause } = error;
  return code === "COMMIT_UNKNOWN" && cause instanceof DatabaseError ? cause : error;
}

/** Whether a ping should follow a call that failed like this. */
export function needsPing(error: DatabaseError, { connecting }: PoolStats): boolean {
  switch (error.code) {
    case "STATEMENT_TIMEOUT":
      return true;
    // The caller's transaction may be read-only, or the server may have stopped taking writes.
    case "READ_ONLY":
      return true;
    // A pool that is only busy says nothing.
    case "ACQUIRE_TIMEOUT":
      return connecting > 0;
    default:
      return isFailure(error);
  }
}
