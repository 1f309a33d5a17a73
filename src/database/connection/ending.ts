import { type Duplex, Stream } from "node:stream";
import { Copy } from "./copy.ts";
import type { StatementListener } from "./intercept.ts";
import type { Statement } from "./statement.ts";

/** Tells the listener of the end of one statement, once: the driver can reject what has ended. */
export class Ending {
  readonly #statement: Statement;
  readonly #listener: StatementListener;
  #hasEnded = false;

  constructor(statement: Statement, listener: StatementListener) {
    this.#statement = statement;
    this.#listener = listener;
  }

  succeed(resolve: (result: unknown) => void, result: unknown): void {
    resolve(result);
    if (this.#hasEnded) return;
    if (result instanceof Stream) {
      this.#statement.copy ??= new Copy(result as Duplex);
      return;
    }
    this.#hasEnded = true;
    this.#listener.onEnded(this.#statement);
  }

  fail(reject: (error: unknown) => void, error: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const failure = this.#listener.onFailed(error, this.#statement);
    this.#statement.failure = failure;
    reject(failure);
    // Whoever has the stream has had the promise's result already.
    this.#statement.copy?.fail(failure);
    this.#listener.onEnded(this.#statement);
  }
}
