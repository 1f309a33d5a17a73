import type {
  CircuitSnapshot,
  CircuitState,
} from "../../../../src/database/circuit_breaker/state.ts";

/** The numbers that a model needs. */
export interface ModelOptions {
  readonly consecutiveFailureThreshold: number;
  readonly failureRateThreshold: number;
  readonly slidingWindowSize: number;
  readonly minimumNumberOfCalls: number;
  readonly slowCallDurationThresholdMs: number;
  readonly initialOpenMs: number;
  readonly maxOpenMs: number;
  readonly permittedCallsInHalfOpen: number;
  readonly successThreshold: number;
  readonly probeTimeoutMs: number;
}

/** How a call ended: `answer` is an error that is a success of the dependency. */
export type End = "success" | "failure" | "answer" | "ignored" | "ignore" | "dispose";

/** Everything that happened since the circuit closed; the numbers are worked out of it. */
interface Result {
  readonly failed: boolean;
  readonly slow: boolean;
  readonly isProbe: boolean;
}

/**
 * A circuit breaker that is slow and plain: it keeps the whole history and moves
 * through time one millisecond after the other.
 */
export class ModelBreaker {
  readonly #options: ModelOptions;
  readonly #jitter: () => number;
  readonly #calls = new Map<number, { readonly startedAt: number; readonly period: number }>();
  #history: Result[] = [];
  #now: number;
  #state: CircuitState = "closed";
  #openLimitMs: number;
  #probeAt = Infinity;
  #opening: { reason: string; cause: string; at: Date } | undefined;
  #period = 0;
  #rejected = 0;

  /** @param jitter The part of the limit of the opening that is happening. */
  constructor(options: ModelOptions, now: number, jitter: () => number) {
    this.#options = options;
    this.#now = now;
    this.#jitter = jitter;
    this.#openLimitMs = options.initialOpenMs;
  }

  pass(ms: number): void {
    for (const end = this.#now + ms; this.#now < end;) {
      this.#now++;
      this.look();
    }
  }

  /** What is due now. */
  look(): void {
    const { probeTimeoutMs } = this.#options;
    if (this.#probes().some(({ startedAt }) => this.#now - startedAt >= probeTimeoutMs)) {
      this.#history.push({ failed: true, slow: false, isProbe: true });
      this.#open("probeTimeout", "PROBE_TIMEOUT");
    }
    if (this.#state === "open" && this.#now >= this.#probeAt) this.#enter("half-open");
  }

  /** Whether the call is let through. */
  acquire(id: number): boolean {
    const isFull = this.#probes().length === this.#options.permittedCallsInHalfOpen;
    if (this.#state === "open" || (this.#state === "half-open" && isFull)) {
      this.#rejected++;
      return false;
    }
    this.#calls.set(id, { startedAt: this.#now, period: this.#period });
    return true;
  }

  end(id: number, end: End): void {
    const call = this.#calls.get(id);
    this.#calls.delete(id);
    if (call?.period !== this.#period) return;
    if (end === "ignored" || end === "ignore" || end === "dispose") return;
    const slow = this.#now - call.startedAt >= this.#options.slowCallDurationThresholdMs;
    const failed = end === "failure" || slow;
    const isProbe = this.#state === "half-open";
    this.#history.push({ failed, slow, isProbe });
    const cause = end === "failure" ? "DOWN" : "SLOW_CALL";
    if (isProbe && failed) this.#open("probeFailed", cause);
    else if (isProbe && this.#succeeded() === this.#options.successThreshold) this.reset();
    else if (failed && this.#inARow() >= this.#options.consecutiveFailureThreshold) {
      this.#open("consecutiveFailures", cause);
    } else if (failed && this.#isRateTooHigh()) this.#open("failureRate", cause);
  }

  forceOpen(cause: string): void {
    this.#open("forced", cause);
    this.#probeAt = Infinity;
  }

  reset(): void {
    this.#history = [];
    this.#openLimitMs = this.#options.initialOpenMs;
    this.#enter("closed");
  }

  snapshot(): CircuitSnapshot {
    const window = this.#window();
    const isTimed = this.#state === "open" && this.#probeAt !== Infinity;
    const failures = window.filter(({ failed }) => failed).length;
    return {
      state: this.#state,
      lastOpening: this.#opening as CircuitSnapshot["lastOpening"],
      consecutiveFailures: this.#inARow(),
      window: {
        calls: window.length,
        failures,
        slow: window.filter(({ slow }) => slow).length,
      },
      failureRate: failures / Math.max(1, window.length),
      probesInFlight: this.#probes().length,
      probesSucceeded: this.#succeeded(),
      nextProbeInMs: isTimed ? this.#probeAt - this.#now : undefined,
      nextProbeAt: isTimed ? new Date(this.#probeAt) : undefined,
      transitionCount: this.#period,
      rejectedCount: this.#rejected,
    };
  }

  #open(reason: string, cause: string): void {
    this.#probeAt = this.#now + this.#jitter() * this.#openLimitMs;
    this.#openLimitMs = Math.min(this.#openLimitMs * 2, this.#options.maxOpenMs);
    this.#opening = { reason, cause, at: new Date(this.#now) };
    this.#enter("open");
  }

  #enter(state: CircuitState): void {
    this.#state = state;
    this.#period++;
  }

  #probes() {
    if (this.#state !== "half-open") return [];
    return [...this.#calls.values()].filter(({ period }) => period === this.#period);
  }

  /** A half-open period ends with its first failure, so its successes are at the end. */
  #succeeded(): number {
    if (this.#state !== "half-open") return 0;
    return this.#history.length - 1 -
      this.#history.findLastIndex(({ failed, isProbe }) => failed || !isProbe);
  }

  #inARow(): number {
    return this.#history.length - 1 - this.#history.findLastIndex(({ failed }) => !failed);
  }

  #window(): readonly Result[] {
    return this.#history.filter(({ isProbe }) => !isProbe).slice(-this.#options.slidingWindowSize);
  }

  #isRateTooHigh(): boolean {
    const window = this.#window();
    return window.length >= this.#options.minimumNumberOfCalls &&
      window.filter(({ failed }) => failed).length >=
        window.length * this.#options.failureRateThreshold;
  }
}
