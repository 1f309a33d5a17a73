import { clearImmediate, setImmediate } from "node:timers";

/** Maximum number of requests that start in one turn: a few milliseconds of work. */
const REQUESTS_A_TURN = 64;
/** Time between two turns, in milliseconds. */
const PAUSE_MS = 1;
/** Maximum number of requests that one connection starts before the next connection. */
const REQUESTS_A_CONNECTION = 8;

/**
 * Shares the turns of the event loop between connections. One packet can contain a thousand
 * requests, and a hundred clients can send such packets at once; if all requests started when they
 * were read, everything else would be blocked for seconds. Here they wait in order of arrival, and
 * between two turns the event loop handles everything else: new connections, probes, the database.
 */
export class Turns implements Disposable {
  readonly #waiting: ((share: number) => void)[] = [];
  #left = REQUESTS_A_TURN;
  #next: { readonly cancel: () => void } | undefined;

  /** Whether a request may start now: nothing is waiting and this turn has room. */
  take(): boolean {
    if (this.#waiting.length > 0 || this.#left === 0) return false;
    this.#left--;
    this.#schedule();
    return true;
  }

  /** Calls back in a later turn, with the number of requests that may start then. */
  wait(proceed: (share: number) => void): void {
    this.#waiting.push(proceed);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#next !== undefined) return;
    // While immediate work is pending, Deno polls its sockets only on every 61st iteration of its
    // event loop. So the next turn starts a moment later.
    const immediate = setImmediate(() => {
      const timer = setTimeout(() => this.#begin(), PAUSE_MS);
      this.#next = { cancel: () => clearTimeout(timer) };
    });
    this.#next = { cancel: () => clearImmediate(immediate) };
  }

  #begin(): void {
    this.#next = undefined;
    this.#left = REQUESTS_A_TURN;
    // A connection with more requests goes to the end of the queue.
    for (let turns = this.#waiting.length; turns > 0 && this.#left > 0; turns--) {
      const share = Math.min(REQUESTS_A_CONNECTION, this.#left);
      this.#left -= share;
      this.#waiting.shift()!(share);
    }
    if (this.#waiting.length > 0) this.#schedule();
  }

  /** Cancels all waiting callbacks. */
  [Symbol.dispose](): void {
    this.#next?.cancel();
  }
}
