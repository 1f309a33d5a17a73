import type { DatabaseConfig } from "../../config/mod.ts";
import type { CircuitBreaker, CircuitPermit } from "../circuit_breaker/mod.ts";
import type { Clock } from "../clock.ts";
import { createCircuit, isFailure } from "./database_circuit.ts";
import { DatabaseError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { slowDelay } from "../retry.ts";

/** Settings of an {@linkcode Admission}. */
export interface AdmissionOptions {
  readonly config: DatabaseConfig;
  readonly logger: Logger;
  readonly clock: Clock;
  /** From 0 up to 1; for jitter. */
  readonly random: () => number;
}

/**
 * The one place that decides whether a call may go to the database now: the circuit breaker, and
 * the failure that explains why it is not closed.
 */
export class Admission {
  readonly circuit: CircuitBreaker;
  readonly #options: AdmissionOptions;
  #failure: DatabaseError | undefined;
  #isClosed = false;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.circuit = createCircuit(options.config, options);
    this.circuit.onTransition(({ reason, cause }) => {
      if (reason !== "forced") return;
      const message = `An operator stopped the use of the database: ${cause}`;
      this.#failure = new DatabaseError("STOPPED_BY_OPERATOR", { message });
    });
  }

  /** Why the circuit is not closed; undefined while it is. */
  get outage(): DatabaseError | undefined {
    return this.circuit.state === "closed" ? undefined : this.#failure;
  }

  /** Whether nobody is let in any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Lets one call in.
   *
   * @throws {DatabaseError} `CIRCUIT_OPEN`, with the outage as its cause, or `POOL_CLOSED`.
   */
  admit(): CircuitPermit {
    if (this.#isClosed) throw new DatabaseError("POOL_CLOSED");
    const permit = this.circuit.tryAcquire();
    // Probes are the recovery's: a caller must not pay for finding out.
    if (permit !== undefined && !permit.isProbe) return permit;
    permit?.ignore();
    throw this.rejection();
  }

  /** What callers get that are not let in. */
  rejection(): DatabaseError {
    const { retryAfterMs } = this.circuit.rejection();
    const cause = this.#failure;
    return new DatabaseError("CIRCUIT_OPEN", {
      message: `The database is not asked at the moment: ${cause?.code}, ${cause?.message}`,
      cause,
      retryAfterMs,
    });
  }

  /** A call failed: the circuit judges, together with those before. */
  failed(permit: CircuitPermit, error: DatabaseError): void {
    if (isFailure(error)) this.#note(error);
    permit.failure(error);
  }

  /** A look at the database failed: that is an outage. Without effect when the failure is none. */
  trip(permit: CircuitPermit, failure: DatabaseError): void {
    if (!failure.isOutage) return;
    this.#note(failure);
    permit.trip(failure, { minOpenMs: this.minOpenMs(failure) });
  }

  /** The recovery's look failed: from now on that is the outage. */
  notRecovered(failure: DatabaseError): void {
    this.#failure = failure;
  }

  /** What cannot pass by itself is asked for rarely. */
  minOpenMs({ retryable }: DatabaseError): number {
    const { config: { authRetryDelayMs }, random } = this.#options;
    return retryable ? 0 : slowDelay({ authRetryDelayMs, random });
  }

  /** Lets nobody in any more. */
  close(): void {
    this.#isClosed = true;
  }

  /** Keeps the error that is to explain an opening; what fails later does not. */
  #note(error: DatabaseError): void {
    if (this.circuit.state === "closed") this.#failure = error;
  }
}
