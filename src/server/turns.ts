import { clearImmediate, setImmediate } from "node:timers";

/** Requests that may begin in one turn: some milliseconds of work. */
const REQUESTS_A_TURN = 64;
/** Between two turns, in milliseconds. */
const PAUSE_MS = 1;
/** Requests that one connection may begin before it is another one's turn. */
const REQUESTS_A_CONNECTION = 8;

/**
 * Shares the turns of the event loop among connections. One packet can hold a thousand requests, and
 * a hundred clients can send such packets at once; if all began where they were read, nobody else
 * would be heard for seconds. Here the next ones wait, in the order in which they came, and between
 * two turns everything else is looked at: new connections, probes, the database.
 */
export class Turns implements Disposable {
  readonly #waiting: ((share: number) => void)[] = [];
  #left = REQUESTS_A_TURN;
  #next: { readonly cancel: () => void } | undefined;

  /** Whether a request may begin now, because nobody waits and this turn has room for it. */
  take(): boolean {
    if (this.#waiting.length > 0 || this.#left === 0) return false;
    this.#left--;
    this.#schedule();
    return true;
  }

  /** Calls back in a later turn, with the number of requests that may begin then. */
  wait(proceed: (share: number) => void): void {
    this.#waiting.push(proceed);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#next !== undefined) return;
    // While something is to be done at once, Deno looks at its sockets at every 61st round of its
    // loop only. So the next turn is a moment after what this one has set off.
    const immediate = setImmediate(() => {
      const timer = setTimeout(() => this.#begin(), PAUSE_MS);
      this.#next = { cancel: () => clearTimeout(timer) };
    });
    this.#next = { cancel: () => clearImmediate(immediate) };
  }

  #begin(): void {
    this.#next = undefined;
    this.#left = REQUESTS_A_TURN;
    // Who has more comes again at the end.
    for (let turns = this.#waiting.length; turns > 0 && this.#left > 0; turns--) {
      const share = Math.min(REQUESTS_A_CONNECTION, this.#left);
      this.#left -= share;
      this.#waiting.shift()!(share);
    }
    if (this.#waiting.length > 0) this.#schedule();
  }

  /** Nobody who waits is called back any more. */
  [Symbol.dispose](): void {
    this.#next?.cancel();
  }
}
