import type { Clock, TimerHandle } from "../clock.ts";
import { MAX_TIMER_MS } from "../deadline.ts";
import type { PoolStats } from "../pool/mod.ts";

/** Settings of a {@linkcode StuckWatch}. */
export interface StuckWatchOptions {
  /** How long nothing has to come back. */
  readonly silenceMs: number;
  readonly stats: () => Pick<PoolStats, "acquireCount" | "inUse">;
  /** Called each time that nothing has come back for so long, though something is in use. */
  readonly onStuck: () => void;
  readonly clock: Clock;
}

/**
 * Notices that nothing comes back of what a pool has lent. In a database that is frozen, statements
 * without a limit would hang unnoticed until somebody asked it how it is. One timer runs while
 * something is lent, and a loan costs no more than a look at it.
 */
export class StuckWatch {
  readonly #options: StuckWatchOptions;
  #timer: TimerHandle | undefined;
  #returned = 0;

  constructor(options: StuckWatchOptions) {
    this.#options = options;
  }

  /** Something has been lent. */
  lent(): void {
    if (this.#timer === undefined) this.#watch(returnedOf(this.#options.stats()));
  }

  /** Ends the watch, until something is lent again. */
  stop(): void {
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #watch(returned: number): void {
    const { silenceMs, clock } = this.#options;
    this.#returned = returned;
    this.#timer = clock.setTimeout(() => this.#look(), Math.min(silenceMs, MAX_TIMER_MS));
  }

  #look(): void {
    this.#timer = undefined;
    const stats = this.#options.stats();
    if (stats.inUse === 0) return;
    const returned = returnedOf(stats);
    const isStuck = returned === this.#returned;
    // First, as whoever is told may lend something at once.
    this.#watch(returned);
    if (isStuck) this.#options.onStuck();
  }
}

function returnedOf({ acquireCount, inUse }: Pick<PoolStats, "acquireCount" | "inUse">): number {
  return acquireCount - inUse;
}
