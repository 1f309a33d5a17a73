import type { Exchange } from "./exchange.ts";

/** Settings of a {@linkcode CallLimit}. */
export interface CallLimitOptions {
  /** Calls in progress at most, in the whole process. */
  readonly max: number;
  /** Calls for which there is some room beyond that, because they ask how this server is. */
  readonly isProbe: (exchange: Exchange) => boolean;
  /** How long an answer may wait for its client to take it, in milliseconds. */
  readonly stallTimeoutMs: number;
}

/** Calls beyond the maximum that may be under way because they ask how this server is. */
const RESERVED_CALLS = 64;
/** How many of them one connection may have. Who only asks how this server is needs one. */
const RESERVED_CALLS_OF_A_CONNECTION = 8;
/** Refusals with a body that may be under way at once: their clients may not take it. */
const MAX_WORDED_REFUSALS = 256;
/** Refusals of any kind that may be under way at once. */
const MAX_REFUSALS = 4_096;
/** How often answers are looked at that wait for their clients, at most. */
const MAX_SWEEP_INTERVAL_MS = 5_000;

/**
 * What becomes of a call: it is let in, turned away with a reason, with nothing but a status, or
 * without a word.
 */
export type Admission = "admitted" | "refused" | "brushed off" | "dropped";

/**
 * Knows the calls in progress of the whole process, and holds them within a limit. A call is in
 * progress until its answer has been sent: one whose client does not read it takes its place, but
 * not for ever.
 */
export class CallLimit implements Disposable {
  readonly #options: CallLimitOptions;
  /** Oldest first. */
  readonly #calls = new Set<Exchange>();
  readonly #probes = new Set<Exchange>();
  readonly #refusals = new Set<Exchange>();
  readonly #timer: ReturnType<typeof setInterval>;
  #refusedCount = 0;
  #stalledCount = 0;

  constructor(options: CallLimitOptions) {
    this.#options = options;
    const intervalMs = Math.min(MAX_SWEEP_INTERVAL_MS, options.stallTimeoutMs / 4);
    this.#timer = setInterval(() => this.#endStalled(), intervalMs);
  }

  /** Calls in progress, probes included. */
  get inProgress(): number {
    return this.#calls.size + this.#probes.size;
  }

  /** Calls that were turned away since the start. */
  get refused(): number {
    return this.#refusedCount;
  }

  /** Answers that were given up because their clients did not take them, since the start. */
  get stalled(): number {
    return this.#stalledCount;
  }

  /** Decides on a call, and knows it until its end. */
  admit(exchange: Exchange): Admission {
    const { front } = exchange;
    if (!front.isReserve && this.#calls.size < this.#options.max) {
      hold(this.#calls, exchange);
      return "admitted";
    }
    const hasRoom = front.probes < RESERVED_CALLS_OF_A_CONNECTION && !front.hasStalled;
    if (hasRoom && this.#options.isProbe(exchange)) return this.#admitProbe(exchange);
    this.#refusedCount++;
    if (this.#refusals.size >= MAX_REFUSALS) return "dropped";
    hold(this.#refusals, exchange);
    return this.#refusals.size > MAX_WORDED_REFUSALS ? "brushed off" : "refused";
  }

  #admitProbe(exchange: Exchange): Admission {
    if (this.#probes.size >= RESERVED_CALLS) {
      // Probes are answered at once. The oldest is still here because its client does not read.
      const [oldest] = this.#probes;
      this.#probes.delete(oldest!);
      this.#giveUp(oldest!);
    }
    hold(this.#probes, exchange);
    exchange.front.probes++;
    exchange.onEnd(() => exchange.front.probes--);
    return "admitted";
  }

  #endStalled(): void {
    for (const calls of [this.#calls, this.#probes, this.#refusals]) {
      for (const exchange of calls) {
        if (exchange.isStuckFor(this.#options.stallTimeoutMs)) this.#giveUp(exchange);
      }
    }
  }

  #giveUp(exchange: Exchange): void {
    this.#stalledCount++;
    exchange.front.hasStalled = true;
    exchange.giveUp();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function hold(calls: Set<Exchange>, exchange: Exchange): void {
  calls.add(exchange);
  exchange.onEnd(() => calls.delete(exchange));
}
