import type { Clock, TimerHandle } from "../clock.ts";
import { MAX_TIMER_MS } from "../deadline.ts";

/**
 * Tells of each item that stays for longer than a time, once. One timer serves all items, and none
 * of them touches it when it leaves: setting and clearing a timer for each takes longer than
 * everything else that the pool does for a caller. Items are kept in the order in which they came,
 * so the first is always the next to be overdue.
 */
export class Overdue<T> {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #onOverdue: (item: T, stayedMs: number) => void;
  readonly #since = new Map<T, number>();
  #timer: TimerHandle | undefined;

  /** @param onOverdue Gets items that have been removed. */
  constructor(clock: Clock, limitMs: number, onOverdue: (item: T, stayedMs: number) => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onOverdue = onOverdue;
  }

  add(item: T): void {
    this.#since.set(item, this.#clock.now());
    if (this.#timer === undefined) this.#lookIn(this.#limitMs);
  }

  delete(item: T): void {
    this.#since.delete(item);
  }

  /** Forgets everything. */
  clear(): void {
    this.#since.clear();
    this.#clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    this.#timer = undefined;
    for (const [item, since] of this.#since) {
      const stayedMs = this.#clock.now() - since;
      if (stayedMs < this.#limitMs) return this.#lookIn(this.#limitMs - stayedMs);
      this.#since.delete(item);
      this.#onOverdue(item, stayedMs);
    }
  }

  #lookIn(delayMs: number): void {
    this.#timer = this.#clock.setTimeout(() => this.#look(), Math.min(delayMs, MAX_TIMER_MS));
  }
}
