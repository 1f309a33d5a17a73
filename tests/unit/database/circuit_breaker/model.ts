import type {
  CircuitSnapshot,
  CircuitState,
} from "../../../../src/database/circuit_breaker/mod.ts";

/** The numbers that a model needs. */
export interface ModelOptions {
  readonly consecutiveFailureThreshold: number;
  readonly failureRateThreshold: number;
  readonly slidingWindowSize: number;
  readonly minimumNumberOfCalls: number;
  readonly initialOpenMs: number;
  readonly maxOpenMs: number;
  readonly probeTimeoutMs: number;
}

/** How a call ended: `answer` is an error that is a success of the dependency. */
export type End = "success" | "failure" | "trip" | "answer" | "ignored" | "ignore" | "dispose";

/** Everything that happened since the circuit closed; the numbers are worked out of it. */
interface Result {
  readonly failed: boolean;
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
  #opening: { reason: string; cause: string; atMs: number } | undefined;
  #period = 0;
  #enteredAtMs: number | undefined;
  #rejected = 0;

  /** @param jitter The part of the limit of the opening that is happening. */
  constructor(options: ModelOptions, now: number, jitter: () => number) {
    this.#options = options;
    this.#now = now;
    this.#jitter = jitter;
    this.#openLimitMs = options.initialOpenMs;
  }

  /** When the last transition took effect. */
  get enteredAtMs(): number | undefined {
    return this.#enteredAtMs;
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
      this.#history.push({ failed: true, isProbe: true });
      this.#open("probeTimeout", "PROBE_TIMEOUT");
    }
    if (this.#state === "open" && this.#now >= this.#probeAt) this.#enter("half-open");
  }

  /** Whether the call is let through. */
  acquire(id: number): boolean {
    if (this.#state === "open" || this.#probes().length > 0) {
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
    const failed = end === "failure" || end === "trip";
    const isProbe = this.#state === "half-open";
    // A trip opens by itself: the window shows what the rate is taken of.
    this.#history.push({ failed, isProbe: isProbe || end === "trip" });
    if (end === "trip") this.#open("tripped", "DOWN");
    else if (isProbe && failed) this.#open("probeFailed", "DOWN");
    else if (isProbe) this.reset();
    else if (failed && this.#inARow() >= this.#options.consecutiveFailureThreshold) {
      this.#open("consecutiveFailures", "DOWN");
    } else if (failed && this.#isRateTooHigh()) this.#open("failureRate", "DOWN");
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
      window: { calls: window.length, failures },
      isProbing: this.#probes().length > 0,
      nextProbeInMs: isTimed ? this.#probeAt - this.#now : undefined,
      transitionCount: this.#period,
      rejectedCount: this.#rejected,
    };
  }

  #open(reason: string, cause: string): void {
    this.#probeAt = this.#now + this.#jitter() * this.#openLimitMs;
    this.#openLimitMs = Math.min(this.#openLimitMs * 2, this.#options.maxOpenMs);
    this.#opening = { reason, cause, atMs: this.#now };
    this.#enter("open");
  }

  #enter(state: CircuitState): void {
    this.#state = state;
    this.#enteredAtMs = this.#now;
    this.#period++;
  }

  #probes() {
    if (this.#state !== "half-open") return [];
    return [...this.#calls.values()].filter(({ period }) => period === this.#period);
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
