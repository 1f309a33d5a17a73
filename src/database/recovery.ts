import { DatabaseError } from "./errors.ts";
import { retry, type RetryOptions } from "./retry.ts";

/** Settings of a {@linkcode Recovery}. */
export interface RecoveryOptions extends Omit<RetryOptions, "signal"> {
  /** Looks for the database once; throws when it is not there. */
  readonly attempt: (signal: AbortSignal) => Promise<void>;
  /** Asked when a search ends: whether the database was lost again meanwhile. */
  readonly isNeeded: () => boolean;
}

/** Looks for a database that is away, without traffic, one attempt at a time. */
export class Recovery {
  readonly #options: RecoveryOptions;
  #search: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** Begins to look for the database, unless that is under way. */
  start(): void {
    if (this.#search !== undefined || this.#isClosed) return;
    const search = this.#search = new AbortController();
    this.#running = this.#run(search.signal);
  }

  /** Ends the search: the database was found in another way. */
  stop(): void {
    this.#search?.abort(new DatabaseError("ABORTED"));
  }

  /** Ends the search for good, and waits for its end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.stop();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { attempt, isNeeded, ...options } = this.#options;
    // It ends with success or with the signal, so there is no error to lose.
    await retry(() => attempt(signal), { ...options, signal }).catch(() => {});
    this.#search = undefined;
    if (isNeeded()) this.start();
  }
}
