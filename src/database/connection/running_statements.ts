import { isDatabaseFailure } from "../errors.ts";
import { refusalBeside } from "./open_statement.ts";
import type { Statement, StatementListener } from "./statement.ts";

/** Settings of {@linkcode RunningStatements}. */
export interface RunningStatementsOptions {
  /** Says why no more statements can be sent; undefined while they can. */
  readonly refusal: () => Error | undefined;
  /** Called when the driver has mixed up statements; gives the error for those that it can hit. */
  readonly onMixUp: () => Error;
}

/**
 * The statements of one connection that were sent and have not ended. It alone answers for their
 * end when the connection closes: the driver keeps them in four places, and forgets some.
 */
export class RunningStatements implements StatementListener {
  readonly #options: RunningStatementsOptions;
  /** Not a Set: that makes a table for every statement that is alone, and each keeps the next alive. */
  readonly #running: Statement[] = [];
  #sending: Statement | undefined;
  /** Of the property in which the driver remembers why it sends a statement again. */
  readonly #retried: PropertyDescriptor & ThisType<Statement>;

  constructor(options: RunningStatementsOptions) {
    this.#options = options;
    const onRetry = () => void (this.#running.length > 1 && options.onMixUp());
    this.#retried = {
      configurable: true,
      get: () => undefined,
      set(error: unknown) {
        Object.defineProperty(this, "retried", { value: error });
        onRetry();
      },
    };
  }

  get isBusy(): boolean {
    return this.#running.length > 0;
  }

  /** The one whose answer comes next. */
  get first(): Statement | undefined {
    return this.#running[0];
  }

  /**
   * Beside what its user has in hand nothing can be sent, see {@linkcode refusalBeside}. Nor beside
   * what the driver sends again, as it does when its plan has become stale after a change of the
   * schema: it does not see others meanwhile, and their rows and its own get to the wrong ones.
   */
  readonly onSend = (statement: Statement): Error | undefined => {
    const refusal = this.#options.refusal();
    if (refusal !== undefined) return refusal;
    const previous = this.#running.at(-1);
    if (previous !== undefined) {
      const isBusy = refusalBeside(previous);
      if (isBusy !== undefined) return isBusy;
      if (previous.retried !== undefined) {
        this.#options.onMixUp();
        return this.#options.refusal();
      }
      if (this.#running.length === 1) Object.defineProperty(previous, "retried", this.#retried);
      Object.defineProperty(statement, "retried", this.#retried);
    }
    this.#running.push(statement);
    this.#sending = statement;
    return undefined;
  };

  readonly onSent = (): void => void (this.#sending = undefined);

  /**
   * A statement that cannot be built, because of a parameter, is the driver's mistake when others
   * run: it fails one of those instead, waits for an answer to what it never sent, and gives it the
   * next one's. It builds some later, out of a queue of its own: then nobody knows whose error it is.
   */
  readonly onFailed = (error: unknown, statement: Statement): unknown => {
    const sending = this.#sending;
    if (sending === statement) return error;
    if (sending === undefined) {
      const isOwn = this.#running.length < 2 || isDatabaseFailure(error);
      return isOwn ? error : this.#options.onMixUp();
    }
    sending.reject(error);
    this.#sending = undefined;
    return this.#options.onMixUp();
  };

  readonly onEnded = (statement: Statement): void => {
    // Nearly always the first: answers come in the order of the statements.
    const index = this.#running.indexOf(statement);
    if (index !== -1) this.#running.splice(index, 1);
  };

  /** Fails everything that runs. */
  failAll(error: Error): void {
    for (const statement of [...this.#running]) statement.reject(error);
  }
}
