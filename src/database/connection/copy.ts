import { type Duplex, Readable, type Writable } from "node:stream";

const OWN_LISTENERS = 1;

/**
 * The stream of a COPY, which its user has while the statement runs. The driver forgets it as soon as
 * it has been ended, and so did not tell it that the server refused the rows.
 */
export class Copy {
  readonly #stream: Readable | Writable;
  #hasFailed = false;
  #isUnheard = false;
  /** Whether the server has sent everything that was left of it when its user left. */
  #isDrained = false;

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
    if (stream instanceof Readable) stream.once("close", () => this.#drain(stream));
  }

  /** Whether the driver has the stream in hand, and takes no other statement. */
  get isOpen(): boolean {
    const stream = this.#stream;
    if (stream instanceof Readable) return !(stream.readableEnded || this.#isDrained);
    return !(stream.writableFinished || stream.destroyed);
  }

  /** Whether the server waits for rows, or the rows for a reader. */
  get waitsForUser(): boolean {
    const stream = this.#stream;
    if (stream.destroyed) return false;
    return !(stream instanceof Readable ? stream.readableEnded : stream.writableEnded);
  }

  /** Whether it failed when nobody listened, so that nobody knows. */
  get isUnheard(): boolean {
    return this.#isUnheard;
  }

  /** Ends the stream with what the statement has failed with, unless its user has ended it. */
  fail(failure: unknown): void {
    this.#hasFailed = true;
    if (this.#stream.destroyed) return;
    this.#isUnheard = this.#stream.listenerCount("error") === OWN_LISTENERS;
    this.#stream.destroy(failure as Error);
  }

  /** Throws away what still comes after its user has left: the driver would stop reading for good. */
  #drain(stream: Readable): void {
    if (this.#hasFailed || stream.readableEnded) return;
    stream.push = (chunk) => {
      this.#isDrained ||= chunk === null;
      return true;
    };
    // The driver's own: goes on reading from the socket.
    stream._read(0);
  }
}
