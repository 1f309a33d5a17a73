import type postgres from "postgres";
import type { Cursor, Statement } from "./statement.ts";

/**
 * Makes a statement's `cursor` in place of the driver's, which has faults:
 *
 * - When the session ends between two batches it ends as if there were no more rows, and writes to a
 *   socket that it does not have any more when it is told to go on or to stop, which ends the process.
 * - It does not wait for what a function does with the last batch.
 * - After a function has failed, the next statement's rows begin behind those of the batch.
 *
 * @param close What a cursor's function returns to have no more rows: the driver's `sql.CLOSE`.
 */
export function cursorOpener(close: unknown): Statement["cursor"] {
  return function open(this: Statement, ...args: unknown[]): Cursor {
    const { cursor } = Object.getPrototypeOf(this) as Statement;
    const take = args.at(-1);
    this.isOpenCursor = true;
    if (typeof take !== "function") {
      return batches(this, cursor.apply(this, args) as AsyncIterable<unknown>);
    }
    const taking = new Taking(this, take, close);
    return cursor.call(this, ...args.slice(0, -1), (rows: unknown) => taking.take(rows));
  };
}

/** A function that takes the batches of a cursor. The statement ends when it is done with the last. */
class Taking {
  readonly #statement: Statement;
  readonly #take: CallableFunction;
  readonly #close: unknown;
  #last: Promise<unknown> = Promise.resolve();
  #failure: { readonly error: unknown } | undefined;

  constructor(statement: Statement, take: CallableFunction, close: unknown) {
    this.#statement = statement;
    this.#take = take;
    this.#close = close;
    const { resolve, reject } = statement;
    statement.resolve = (result) =>
      void this.#last.then(() => this.#failure ? reject(this.#failure.error) : resolve(result));
  }

  take(rows: unknown): Promise<unknown> {
    this.#last = this.#settle(rows);
    return this.#last;
  }

  /** Never rejects: of the last batch the driver would not notice. */
  async #settle(rows: unknown): Promise<unknown> {
    try {
      const answer = await this.#take(rows);
      if (answer === this.#close) this.#leave(rows);
      return answer;
    } catch (error) {
      this.#failure ??= { error };
      this.#leave(rows);
      return this.#close;
    } finally {
      if (this.#statement.failure !== undefined) await new Promise(() => {});
    }
  }

  #leave(rows: unknown): void {
    this.#statement.isOpenCursor = false;
    this.#statement.isLeft = mayHaveMore(rows);
  }
}

/** Whether the server has not ended the statement with this batch: then the driver has to close it. */
function mayHaveMore(rows: unknown): boolean {
  return (rows as postgres.RowList<[]>).command === null;
}

function batches(statement: Statement, iterable: AsyncIterable<unknown>): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const inner = iterable[Symbol.asyncIterator]();
      let isOpen = false;
      return {
        async next() {
          isOpen = false;
          const batch = await inner.next();
          isOpen = !batch.done && mayHaveMore(batch.value);
          if (batch.done && statement.failure !== undefined) throw statement.failure;
          return batch;
        },
        async return() {
          statement.isOpenCursor = false;
          if (statement.failure === undefined) {
            statement.isLeft = isOpen;
            await inner.return?.();
          }
          return { done: true, value: undefined };
        },
      };
    },
  };
}
