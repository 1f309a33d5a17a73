import type { Clock, TimerHandle } from "../clock.ts";
import { classify } from "../errors.ts";
import { retryDelay } from "../retry.ts";

/** Settings of a {@linkcode MinIdle}. */
export interface MinIdleOptions {
  readonly minIdle: number;
  readonly retryInitialDelayMs: number;
  readonly retryMaxDelayMs: number;
  readonly authRetryDelayMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  /** Called when the pause after a failure is over. */
  readonly onResume: () => void;
}

/**
 * Says whether more should be idle. It pauses before the first success, and after each failure for
 * a time that doubles, with full jitter: nobody waits for these openings, so they must not hammer a
 * database that is dead, or that rejects them.
 */
export class MinIdle {
  readonly #options: MinIdleOptions;
  #isPaused = true;
  #isStopped = false;
  #timer: TimerHandle | undefined;
  #failures = 0;

  constructor(options: MinIdleOptions) {
    this.#options = options;
  }

  /** @param idle What is idle, or will be without a release. */
  wantsMoreThan(idle: number): boolean {
    return !this.#isPaused && idle < this.#options.minIdle;
  }

  /** Something failed. In a pause that is no news: several openings fail together. */
  pause(error: unknown): void {
    if (this.#isPaused || this.#options.minIdle === 0) return;
    const { retryInitialDelayMs, retryMaxDelayMs, clock, onResume } = this.#options;
    this.#isPaused = true;
    const delayMs = retryDelay(++this.#failures, classify(error), {
      ...this.#options,
      initialDelayMs: retryInitialDelayMs,
      maxDelayMs: retryMaxDelayMs,
    });
    this.#timer = clock.setTimeout(() => {
      this.#isPaused = false;
      onResume();
    }, delayMs);
  }

  /** Something worked, which ends a pause, but not a stop: it can have begun before that. */
  succeeded(): void {
    if (!this.#isStopped) this.resume();
  }

  /** Things should be tried now. */
  resume(): void {
    this.#failures = 0;
    this.#isPaused = false;
    this.#isStopped = false;
    this.#options.clock.clearTimeout(this.#timer);
  }

  /** Pauses until {@linkcode resume}. */
  stop(): void {
    this.#isPaused = true;
    this.#isStopped = true;
    this.#options.clock.clearTimeout(this.#timer);
  }
}
