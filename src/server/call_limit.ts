import type { Exchange } from "./exchange.ts";

/** Limits of the calls in progress, for {@linkcode CallLimit}. */
export interface CallLimitOptions {
  /** Maximum number of calls in progress, in the whole process. */
  readonly max: number;
  /** Whether a call is a probe: probes may exceed `max` by a fixed reserve. */
  readonly isProbe: (exchange: Exchange) => boolean;
  /** Maximum time that an answer may wait for its client to read it, in milliseconds. */
  readonly stallTimeoutMs: number;
}

/** Maximum number of probes in progress beyond the limit. */
const RESERVED_CALLS = 64;
/** Maximum number of those per connection. A prober needs one. */
const RESERVED_CALLS_OF_A_CONNECTION = 8;
/** Maximum number of refusals with a body in progress: their clients may not read them. */
const MAX_WORDED_REFUSALS = 256;
/** Maximum number of refusals of any kind in progress. */
const MAX_REFUSALS = 4_096;
/** Upper bound of the interval at which unread answers are checked. */
const MAX_SWEEP_INTERVAL_MS = 5_000;

/**
 * The decision on a call: admitted; refused with a message; refused with only a status (brushed
 * off); or closed without an answer (dropped).
 */
export type Admission = "admitted" | "refused" | "brushed off" | "dropped";

/**
 * Tracks and limits the calls in progress of the whole process. A call is in progress until its
 * answer has been sent, so a client that does not read its answer occupies a place, until the stall
 * timeout.
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

  /** Number of calls refused since the start. */
  get refused(): number {
    return this.#refusedCount;
  }

  /** Number of answers abandoned since the start because their clients did not read them. */
  get stalled(): number {
    return this.#stalledCount;
  }

  /** Decides on a call, and tracks it until it ends. */
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
      // Probes are answered immediately. The oldest is still here because its client does not read.
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
