import { Emitter } from "../../emitter.ts";
import { type CircuitBreakerOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import { SlidingWindow } from "./sliding_window.ts";
import {
  causeOf,
  type CircuitOpening,
  type CircuitSnapshot,
  type CircuitState,
  type CircuitTransition,
  type OpenReason,
  type TransitionReason,
} from "./state.ts";

/** The circuit breaker rejected a call, which was not made. */
export class CircuitOpenError extends Error {
  /** Always `CircuitOpenError`. */
  override readonly name = "CircuitOpenError";
  /** A hint when to try again, in whole milliseconds from now. */
  readonly retryAfterMs: number;

  /** An error with this hint, in milliseconds. */
  constructor(retryAfterMs: number) {
    super(`The circuit is open; try again in ${retryAfterMs} ms`);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Each transition makes a new one, so a permit is out of date when its state is not this one any
 * more. Moments are milliseconds of the clock.
 */
type State =
  | { readonly name: "closed" }
  /** `untilMs` is Infinity after `forceOpen`. */
  | { readonly name: "open"; readonly untilMs: number }
  /** `probeUntilMs` is set while a probe is in flight. */
  | { readonly name: "half-open"; probeUntilMs: number | undefined };

type CallOutcome = "success" | "failure" | "trip" | "ignore";
type OnEnd = (state: State, outcome: CallOutcome, error?: unknown, minOpenMs?: number) => void;

/**
 * The right to make one call. Report how the call ended: the first report counts, later ones do
 * nothing. `using` gives back a permit without a report, as {@linkcode CircuitPermit.ignore} does.
 *
 * A report that comes after the circuit has changed its state does nothing: a call that began
 * before the circuit opened says nothing about the dependency as it is now.
 */
export class CircuitPermit implements Disposable {
  /** Whether the call is a probe: it decides whether a half-open circuit closes. */
  readonly isProbe: boolean;
  readonly #state: State;
  #onEnd: OnEnd | undefined;

  /** Made by {@linkcode CircuitBreaker.tryAcquire}. */
  constructor(state: State, onEnd: OnEnd) {
    this.isProbe = state.name === "half-open";
    this.#state = state;
    this.#onEnd = onEnd;
  }

  /** The dependency answered. */
  success(): void {
    this.#end("success");
  }

  /** The call failed; the options `isIgnored` and `isFailure` say what that means. */
  failure(error: unknown): void {
    this.#end("failure", error);
  }

  /**
   * The call proved that the dependency does not work: the circuit opens at once. It stays open for
   * at least `minOpenMs` milliseconds, for when an earlier probe would be useless or do harm.
   * Default: 0.
   */
  trip(error: unknown, { minOpenMs }: { readonly minOpenMs?: number | undefined } = {}): void {
    this.#end("trip", error, minOpenMs);
  }

  /** The call says nothing about the dependency. */
  ignore(): void {
    this.#end("ignore");
  }

  /** As {@linkcode CircuitPermit.ignore}, unless the end has been reported. */
  [Symbol.dispose](): void {
    this.#end("ignore");
  }

  #end(outcome: CallOutcome, error?: unknown, minOpenMs?: number): void {
    const onEnd = this.#onEnd;
    this.#onEnd = undefined;
    onEnd?.(this.#state, outcome, error, minOpenMs);
  }
}

/**
 * Stops calls to a dependency that does not work, so that callers fail at once, and finds out when
 * it works again. Closed, it lets calls through and counts failures, in a row and as a rate. Open,
 * it rejects calls. Half-open, it lets one probe through: success closes the circuit, failure opens
 * it again. The open time is random (full jitter), with a limit that doubles with every opening
 * until the circuit closes.
 *
 * It never calls the dependency itself: without traffic, somebody has to probe. It has no timer
 * either. The end of the open time and the timeout of a probe take effect at the next use of the
 * breaker, dated when they were due; so it makes no difference how often somebody looks.
 *
 * Give calls a time limit of their own, whose error counts as a failure. A call that its caller
 * aborts is ignored, or one impatient caller could open the circuit for all.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { CircuitBreaker, CircuitOpenError } from "./mod.ts";
 *
 * const breaker = new CircuitBreaker({ consecutiveFailureThreshold: 2 });
 * const down = () => Promise.reject(new Error("connection refused"));
 * await assert.rejects(breaker.execute(down), /connection refused/);
 * await assert.rejects(breaker.execute(down), /connection refused/);
 * await assert.rejects(breaker.execute(down), CircuitOpenError);
 *
 * // The same for a call that begins and ends in different places:
 * breaker.reset();
 * using permit = breaker.tryAcquire();
 * if (permit === undefined) throw breaker.rejection();
 * permit.success();
 * ```
 *
 * Source: Michael Nygard, "Release It!", chapter "Stability Patterns"; full jitter: AWS
 * Architecture Blog, "Exponential Backoff And Jitter" (2015).
 */
export class CircuitBreaker {
  readonly #options: ResolvedOptions;
  readonly #transitions: Emitter<CircuitTransition>;
  readonly #window: SlidingWindow;
  #state: State = { name: "closed" };
  #consecutiveFailures = 0;
  /** They enter the window with the next failure, so that a success costs no more than this sum. */
  #successesOutsideWindow = 0;
  /** Since the circuit was closed. */
  #openings = 0;
  #lastOpening: CircuitOpening | undefined;
  #transitionCount = 0;
  #rejectedCount = 0;

  /**
   * A closed circuit.
   *
   * @throws {RangeError} Names the option that is out of range.
   */
  constructor(options: CircuitBreakerOptions = {}) {
    this.#options = resolveOptions(options);
    this.#transitions = new Emitter(options.onListenerError);
    this.#window = new SlidingWindow(this.#options.slidingWindowSize);
  }

  /** The state as of now. */
  get state(): CircuitState {
    if (this.#state.name !== "closed") this.#advance();
    return this.#state.name;
  }

  /**
   * Makes the call, unless the circuit rejects it. An error after the signal has aborted is ignored.
   *
   * @throws {CircuitOpenError} When the circuit rejects the call.
   * @throws What the operation throws; the signal's reason if it has aborted already.
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
   * Acquires a permit for one call.
   *
   * @returns undefined when the circuit rejects the call. {@linkcode CircuitBreaker.rejection} makes
   * the error, for those who need one: that takes longer than all the rest.
   */
  tryAcquire(): CircuitPermit | undefined {
    if (this.#state.name !== "closed") return this.#tryProbe();
    return new CircuitPermit(this.#state, this.#onEnd);
  }

  /**
   * The error for a call that was rejected. Nobody knows how long a probe in flight takes, or a
   * forced opening; then the hint is `initialOpenMs`, or `maxOpenMs`.
   */
  rejection(): CircuitOpenError {
    const now = this.#advance();
    if (this.#state.name !== "open") return new CircuitOpenError(this.#options.initialOpenMs);
    const { untilMs } = this.#state;
    const isForced = untilMs === Infinity;
    return new CircuitOpenError(isForced ? this.#options.maxOpenMs : Math.ceil(untilMs - now));
  }

  /** Opens, and rejects all calls until {@linkcode CircuitBreaker.reset}; snapshots show the reason. */
  forceOpen(reason: string): void {
    this.#open("forced", reason, this.#advance());
  }

  /** Closes, whatever the state, and forgets all failures. */
  reset(): void {
    this.#close("reset", this.#advance());
  }

  /**
   * Calls the listener after every transition from now on. What it throws goes to the option
   * `onListenerError`.
   *
   * @returns The function that ends the subscription.
   */
  onTransition(listener: (transition: CircuitTransition) => void): () => void {
    return this.#transitions.subscribe(listener);
  }

  /** State and counters as of now, frozen. */
  snapshot(): CircuitSnapshot {
    const now = this.#advance();
    const state = this.#state;
    const isTimed = state.name === "open" && state.untilMs !== Infinity;
    this.#fillWindow();
    const { calls, failures } = this.#window;
    return Object.freeze({
      state: state.name,
      lastOpening: this.#lastOpening,
      consecutiveFailures: this.#consecutiveFailures,
      window: Object.freeze({ calls, failures }),
      isProbing: state.name === "half-open" && state.probeUntilMs !== undefined,
      nextProbeInMs: isTimed ? state.untilMs - now : undefined,
      transitionCount: this.#transitionCount,
      rejectedCount: this.#rejectedCount,
    });
  }

  #tryProbe(): CircuitPermit | undefined {
    const now = this.#advance();
    const state = this.#state;
    if (state.name === "half-open" && state.probeUntilMs === undefined) {
      state.probeUntilMs = now + this.#options.probeTimeoutMs;
    } else if (state.name !== "closed") {
      this.#rejectedCount++;
      return undefined;
    }
    return new CircuitPermit(state, this.#onEnd);
  }

  /**
   * Takes the steps that time alone decides, dated when they were due.
   *
   * @returns The time.
   */
  #advance(): number {
    const now = this.#options.clock.now();
    if (this.#state.name === "half-open") {
      const { probeUntilMs = Infinity } = this.#state;
      if (now >= probeUntilMs) {
        this.#consecutiveFailures++;
        this.#open("probeTimeout", "PROBE_TIMEOUT", probeUntilMs);
      }
    }
    if (this.#state.name === "open" && now >= this.#state.untilMs) {
      const { untilMs } = this.#state;
      this.#enter({ name: "half-open", probeUntilMs: undefined }, "openTimeOver", untilMs);
    }
    return now;
  }

  readonly #onEnd: OnEnd = (state, outcome, error, minOpenMs) => {
    if (state.name !== "closed") this.#advance();
    if (state !== this.#state) return;
    // First, so that a predicate that throws does not keep the place of the probe.
    if (state.name === "half-open") state.probeUntilMs = undefined;
    const verdict = outcome === "failure" ? this.#judge(error) : outcome;
    if (verdict === "ignore") return;
    if (verdict === "success") {
      this.#consecutiveFailures = 0;
      if (state.name === "closed") this.#successesOutsideWindow++;
      else this.#close("probeSucceeded", this.#options.clock.now());
      return;
    }
    this.#consecutiveFailures++;
    const reason = verdict === "trip" ? "tripped" : this.#reasonToOpen(state);
    if (reason !== undefined) {
      this.#open(reason, causeOf(error), this.#options.clock.now(), minOpenMs);
    }
  };

  /** What a call says about the dependency that ended with this error. */
  #judge(error: unknown): CallOutcome {
    const { isIgnored, isFailure } = this.#options;
    if (isIgnored(error)) return "ignore";
    return isFailure(error) ? "failure" : "success";
  }

  /** Counts a failure. Half-open, the window is left as it is: it shows why the circuit opened. */
  #reasonToOpen({ name }: State): OpenReason | undefined {
    if (name === "half-open") return "probeFailed";
    this.#fillWindow();
    this.#window.add(true);
    const { consecutiveFailureThreshold, failureRateThreshold, minimumNumberOfCalls } =
      this.#options;
    if (this.#consecutiveFailures >= consecutiveFailureThreshold) return "consecutiveFailures";
    const { calls, failures } = this.#window;
    const isRateTooHigh = calls >= minimumNumberOfCalls && failures / calls >= failureRateThreshold;
    return isRateTooHigh ? "failureRate" : undefined;
  }

  #fillWindow(): void {
    this.#window.add(false, this.#successesOutsideWindow);
    this.#successesOutsideWindow = 0;
  }

  #open(reason: OpenReason, cause: string, atMs: number, minOpenMs = 0): void {
    const { initialOpenMs, maxOpenMs, random } = this.#options;
    const limitMs = Math.min(maxOpenMs, initialOpenMs * 2 ** this.#openings++);
    const openMs = reason === "forced" ? Infinity : Math.max(minOpenMs, random() * limitMs);
    this.#lastOpening = Object.freeze({ reason, cause, atMs });
    this.#enter({ name: "open", untilMs: atMs + openMs }, reason, atMs, cause);
  }

  #close(reason: "probeSucceeded" | "reset", atMs: number): void {
    this.#openings = 0;
    this.#consecutiveFailures = 0;
    this.#successesOutsideWindow = 0;
    this.#window.clear();
    this.#enter({ name: "closed" }, reason, atMs);
  }

  #enter(state: State, reason: TransitionReason, atMs: number, cause?: string): void {
    const from = this.#state.name;
    this.#state = state;
    this.#transitionCount++;
    this.#transitions.emit(Object.freeze({ from, to: state.name, reason, cause, atMs }));
  }
}
