import type { Clock, TimerHandle } from "../clock.ts";
import { classify } from "../errors.ts";
import { retryDelay } from "../retry.ts";

/** Settings of an {@linkcode OpeningPause}. */
export interface OpeningPauseOptions {
  readonly retryInitialDelayMs: number;
  readonly retryMaxDelayMs: number;
  readonly authRetryDelayMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Called when a pause is over. */
  readonly onOver: () => void;
}

/** A time without openings after one that failed; it doubles, with full jitter, until one succeeds. */
export class OpeningPause {
  readonly #options: OpeningPauseOptions;
  #timer: TimerHandle | undefined;
  #failures = 0;

  constructor(options: OpeningPauseOptions) {
    this.#options = options;
  }

  get isActive(): boolean {
    return this.#timer !== undefined;
  }

  /** In a pause a failure is no news: several openings fail together. */
  begin(error: unknown): void {
    if (this.isActive) return;
    const { retryInitialDelayMs, retryMaxDelayMs, clock, onOver } = this.#options;
    const delayMs = retryDelay(++this.#failures, classify(error), {
      ...this.#options,
      initialDelayMs: retryInitialDelayMs,
      maxDelayMs: retryMaxDelayMs,
    });
    this.#timer = clock.setTimeout(() => {
      this.#timer = undefined;
      onOver();
    }, delayMs);
  }

  /** Ends a pause, without telling; the next one is as short as the first. */
  end(): void {
    this.#failures = 0;
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
