import type { CircuitBreakerOptions, ResolvedCircuitOptions } from "./options.ts";
import { resolveCircuitOptions } from "./options.ts";
import { type CallOutcome, type CircuitPermit, Permit } from "./permit.ts";
import {
  causeOf,
  type CircuitSnapshot,
  type CircuitState,
  type CircuitTransition,
  type OpenReason,
} from "./state.ts";
import { CircuitStateMachine } from "./state_machine.ts";
import { judge, VerdictCounts } from "./verdict.ts";

/** The circuit did not let a call through; the call was not made. */
export class CircuitOpenError extends Error {
  override readonly name = "CircuitOpenError";
  /** A hint: when a call may be let through, in whole milliseconds from now. */
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super(`The circuit is open; try again in ${retryAfterMs} ms`);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Stops calling a dependency that does not work, and finds out when it works
 * again. Closed, it counts failures, in a row and as a rate; open, it rejects;
 * half-open, it lets a few probes through, and one failure opens it for longer.
 *
 * It has no timer. What time alone decides (an open time that is over, a probe
 * without a result) is told when somebody next asks, and dated when it was due.
 * Every method and getter takes these steps first, so what is read agrees with
 * what listeners were told, and it makes no difference how often somebody asks.
 * It never calls the dependency by itself; without traffic, somebody has to probe.
 *
 * An operation needs a time limit of its own, whose error is a failure: a call
 * that its caller aborts says nothing about the dependency, or one impatient
 * caller could open the circuit for all.
 *
 * ```ts ignore
 * const breaker = new CircuitBreaker({ isFailure: (error) => classify(error).isOutage });
 * const rows = await breaker.execute((signal) => query(signal), { signal });
 *
 * // The same, where the beginning and the end are in different places:
 * using permit = breaker.tryAcquire();
 * if (permit === undefined) throw breaker.rejection();
 * ```
 *
 * Source: Michael Nygard, "Release It!", chapter "Stability Patterns".
 */
export class CircuitBreaker {
  readonly #options: ResolvedCircuitOptions;
  readonly #circuit: CircuitStateMachine;
  readonly #counts: VerdictCounts;
  /** Those of this half-open period, the oldest first. */
  readonly #probes = new Set<Permit>();
  #probesSucceeded = 0;
  #rejectedCount = 0;

  /** @throws {RangeError} Names the option that makes no sense. */
  constructor(options: CircuitBreakerOptions = {}) {
    this.#options = resolveCircuitOptions(options);
    this.#circuit = new CircuitStateMachine(this.#options);
    this.#counts = new VerdictCounts(this.#options);
  }

  get state(): CircuitState {
    if (this.#circuit.state !== "closed") this.#advance();
    return this.#circuit.state;
  }

  /**
   * Makes the call, unless the circuit rejects it. Ignores an error after the signal aborted.
   *
   * @throws {CircuitOpenError} Without a call.
   * @throws What the operation throws; the signal's reason when it has aborted already.
   */
  async execute<T>(
    operation: (signal: AbortSignal | undefined) => T | Promise<T>,
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<T> {
    signal?.throwIfAborted();
    const permit = this.tryAcquire();
    if (permit === undefined) throw this.rejection();
    let result: T;
    try {
      result = await operation(signal);
    } catch (error) {
      if (signal?.aborted) permit.ignore();
      else permit.failure(error);
      throw error;
    }
    permit.success();
    return result;
  }

  /**
   * The right to make one call, or nothing when the circuit rejects it: an error takes
   * longer than all the rest, so {@linkcode CircuitBreaker.rejection} makes it on demand.
   */
  tryAcquire(): CircuitPermit | undefined {
    const now = this.#needsTime ? this.#advance() : 0;
    const { state, transitionCount: period } = this.#circuit;
    const isFull = this.#probes.size >= this.#options.permittedCallsInHalfOpen;
    if (state === "open" || (state === "half-open" && isFull)) {
      this.#rejectedCount++;
      return undefined;
    }
    const permit = new Permit(period, now, this.#onSettled);
    if (state === "half-open") this.#probes.add(permit);
    return permit;
  }

  /**
   * The error for a call that is not let through. How long probes under way take, or
   * an operator, nobody knows; the hint is then `initialOpenMs`, or `maxOpenMs`.
   */
  rejection(): CircuitOpenError {
    const now = this.#advance();
    const waitMs = this.#circuit.openUntil - now;
    if (this.#circuit.state !== "open") return new CircuitOpenError(this.#options.initialOpenMs);
    return new CircuitOpenError(waitMs === Infinity ? this.#options.maxOpenMs : Math.ceil(waitMs));
  }

  /** Rejects everything until {@linkcode CircuitBreaker.reset}, for the reason that is shown. */
  forceOpen(reason: string): void {
    this.#open("forced", reason, this.#advance());
  }

  /** Closes, whatever the state, and forgets all failures. */
  reset(): void {
    this.#close("reset", this.#advance());
  }

  /**
   * Tells the listener of every transition from now on, after it has happened.
   * What it throws goes to `onListenerError`. Call the result to stop.
   */
  onTransition(listener: (transition: CircuitTransition) => void): () => void {
    return this.#circuit.onTransition(listener);
  }

  /** A frozen snapshot. */
  snapshot(): CircuitSnapshot {
    const now = this.#advance();
    return Object.freeze({
      ...this.#circuit.snapshot(now),
      ...this.#counts.snapshot(),
      probesInFlight: this.#probes.size,
      probesSucceeded: this.#probesSucceeded,
      rejectedCount: this.#rejectedCount,
    });
  }

  /**
   * Closed, it stays closed whatever the time is, and only slow calls have to be timed. A look at the
   * clock is what costs most here.
   */
  get #needsTime(): boolean {
    const { slowCallDurationThresholdMs } = this.#options;
    return this.#circuit.state !== "closed" || slowCallDurationThresholdMs !== Infinity;
  }

  /** Takes the steps that time alone decides, as of when they were due. Gives the time. */
  #advance(): number {
    const now = this.#options.clock.now();
    const [oldest] = this.#probes;
    const probeLimit = oldest && oldest.startedAt + this.#options.probeTimeoutMs;
    if (probeLimit !== undefined && now >= probeLimit) {
      this.#counts.addProbe({ failed: true });
      this.#open("probeTimeout", "PROBE_TIMEOUT", probeLimit);
    }
    this.#circuit.passTime(now);
    return now;
  }

  readonly #onSettled = (
    permit: Permit,
    outcome: CallOutcome,
    error: unknown,
    minOpenMs: number,
  ): void => {
    const isTimeless = outcome === "success" && !this.#needsTime;
    const now = isTimeless ? permit.startedAt : this.#advance();
    if (permit.period !== this.#circuit.transitionCount) return;
    // First, so that a predicate that throws cannot keep the place.
    this.#probes.delete(permit);
    if (outcome === "trip") {
      this.#counts.addProbe({ failed: true });
      return this.#open("tripped", causeOf(error), now, minOpenMs);
    }
    const verdict = judge({ outcome, error, durationMs: now - permit.startedAt }, this.#options);
    if (verdict === undefined) return;

    if (this.#circuit.state === "half-open") {
      this.#counts.addProbe(verdict);
      if (verdict.failed) this.#open("probeFailed", verdict.cause, now);
      else if (++this.#probesSucceeded >= this.#options.successThreshold) {
        this.#close("probesSucceeded", now);
      }
    } else {
      const reason = this.#counts.add(verdict);
      if (reason !== undefined) this.#open(reason, verdict.cause, now);
    }
  };

  #open(reason: OpenReason, cause: string, at: number, minOpenMs = 0): void {
    this.#forgetProbes();
    this.#circuit.open(reason, cause, at, minOpenMs);
  }

  #close(reason: "probesSucceeded" | "reset", at: number): void {
    this.#forgetProbes();
    this.#counts.clear();
    this.#circuit.close(reason, at);
  }

  #forgetProbes(): void {
    this.#probes.clear();
    this.#probesSucceeded = 0;
  }
}
