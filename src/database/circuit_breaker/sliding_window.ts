const FAILED = 1;
const SLOW = 2;

/**
 * The outcomes of the last calls, and their sums. It counts calls rather than
 * time, so that it takes one byte for each place and never more, needs no clock,
 * and judges a quiet service by as many calls as a busy one. Adding and reading
 * take constant time: a sum changes by what comes in and what falls out.
 *
 * ```ts
 * import { SlidingWindow } from "./sliding_window.ts";
 *
 * const window = new SlidingWindow(2);
 * window.add({ failed: true, slow: false });
 * window.add({ failed: false, slow: false });
 * window.failureRate; // 0.5
 * ```
 */
export class SlidingWindow {
  /** A ring; `#next` is the oldest place once every place is taken. */
  readonly #outcomes: Uint8Array;
  #next = 0;
  #calls = 0;
  #failures = 0;
  #slow = 0;

  /** @param size Most calls that are remembered. */
  constructor(size: number) {
    this.#outcomes = new Uint8Array(size);
  }

  get calls(): number {
    return this.#calls;
  }

  get failures(): number {
    return this.#failures;
  }

  get slow(): number {
    return this.#slow;
  }

  /** From 0 to 1; 0 without calls. */
  get failureRate(): number {
    return this.#calls === 0 ? 0 : this.#failures / this.#calls;
  }

  add({ failed, slow }: { readonly failed: boolean; readonly slow: boolean }): void {
    const outcome = (failed ? FAILED : 0) | (slow ? SLOW : 0);
    // An empty place is 0, which is neither failed nor slow.
    const oldest = this.#outcomes[this.#next] ?? 0;
    this.#failures += (outcome & FAILED) - (oldest & FAILED);
    this.#slow += ((outcome & SLOW) - (oldest & SLOW)) / SLOW;
    this.#calls = Math.min(this.#calls + 1, this.#outcomes.length);
    this.#outcomes[this.#next] = outcome;
    this.#next = (this.#next + 1) % this.#outcomes.length;
  }

  clear(): void {
    this.#outcomes.fill(0);
    this.#next =
      this.#calls =
      this.#failures =
      this.#slow =
        0;
  }
}
