import type { Duplex, Readable, Writable } from "node:stream";

/**
 * The stream of a COPY, which its user has while the statement runs. The driver forgets it as soon as
 * it has been ended, and so did not tell it that the server refused the rows.
 */
export class Copy {
  readonly #stream: Readable | Writable;
  #isUnheard = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
    // An error that nobody listens to ends the process; this one is the statement's.
    stream.on("error", () => {});
    const { destroy } = stream;
    // The driver destroys it with the server's error, and then fails the statement, which gives it
    // the typed one.
    const destroyTyped = (error?: Error) =>
      error?.name === "PostgresError" ? stream : destroy.call(stream, error);
    stream.destroy = destroyTyped;
  }

  /** Whether it failed when nobody listened, so that nobody knows. */
  get isUnheard(): boolean {
    return this.#isUnheard;
  }

  /** Ends the stream with what the statement has failed with, unless its user has ended it so. */
  fail(failure: unknown): void {
    if (this.#stream.destroyed) return;
    this.#isUnheard = this.#stream.listenerCount("error") === OWN_LISTENERS;
    this.#stream.destroy(failure as Error);
  }
}

const OWN_LISTENERS = 1;
