import { type Duplex, Stream } from "node:stream";
import { Copy } from "./copy.ts";
import { isDatabaseFailure } from "../errors.ts";

import type { Statement, StatementListener } from "./statement.ts";

/**
 * Tells the listener of the end of one statement, once: when the server has said that it is ready
 * for the next, or never will. Only then it is known whether a transaction is open. The driver
 * resolves or rejects some statements before that, and again with the server's last word.
 */
export class Ending {
  readonly #statement: Statement;
  readonly #listener: StatementListener;
  #hasAnswer = false;
  /** Whether the driver had the statement in hand when it failed, so that it goes on reading. */
  #isInHand = false;
  #hasEnded = false;

  constructor(statement: Statement, listener: StatementListener) {
    this.#statement = statement;
    this.#listener = listener;
  }

  succeed(resolve: (result: unknown) => void, result: unknown): void {
    resolve(result);
    if (this.#hasEnded) return;
    if (result instanceof Stream) this.#statement.copy ??= new Copy(result as Duplex);
    else if (this.#isLast()) this.#end();
  }

  fail(reject: (error: unknown) => void, error: unknown): void {
    if (this.#hasEnded) return;
    this.#isInHand ||= this.#statement.active;
    // What a parameter or the user's own function threw, which can be for each row.
    const isEarly = this.#isInHand && !isDatabaseFailure(error);
    const failure = this.#listener.onFailed(error, this.#statement);
    this.#statement.failure = failure;
    reject(failure);
    // Whoever has the stream has had the promise's result already.
    this.#statement.copy?.fail(failure);
    if (!isEarly) this.#end();
  }

  /** A description comes first of two answers, and the end of a cursor that was left. */
  #isLast(): boolean {
    const { onlyDescribe, isLeft } = this.#statement;
    if (this.#hasAnswer || !(onlyDescribe || isLeft)) return true;
    this.#hasAnswer = true;
    return this.#statement.failure !== undefined;
  }

  #end(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#listener.onEnded(this.#statement);
  }
}
