/**
 * How many of the last calls have failed. It counts calls rather than time, so it takes one byte a
 * call and never more, needs no clock, and judges a quiet service by as many calls as a busy one.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { SlidingWindow } from "./sliding_window.ts";
 *
 * const window = new SlidingWindow(2);
 * window.add(true);
 * window.add(false, 5);
 * assert.deepEqual([window.calls, window.failures], [2, 0]);
 * ```
 */
export class SlidingWindow {
  /** A ring of 0 and 1 (failed); `#next` is the oldest place once every place is taken. */
  readonly #outcomes: Uint8Array;
  #next = 0;
  #calls = 0;
  #failures = 0;

  /** An empty window of at most `size` calls. */
  constructor(size: number) {
    this.#outcomes = new Uint8Array(size);
  }

  /** Calls in the window. */
  get calls(): number {
    return this.#calls;
  }

  /** Those of them that have failed. */
  get failures(): number {
    return this.#failures;
  }

  /** Adds so many calls that ended like this, in place of the oldest ones. */
  add(failed: boolean, times = 1): void {
    const size = this.#outcomes.length;
    const outcome = failed ? 1 : 0;
    this.#calls = Math.min(this.#calls + times, size);
    for (let left = Math.min(times, size); left > 0; left--) {
      this.#failures += outcome - (this.#outcomes[this.#next] ?? 0);
      this.#outcomes[this.#next] = outcome;
      this.#next = (this.#next + 1) % size;
    }
  }

  /** Forgets all calls. */
  clear(): void {
    this.#outcomes.fill(0);
    this.#next = this.#calls = this.#failures = 0;
  }
}
