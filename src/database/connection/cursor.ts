import type { Cursor, Statement } from "./statement.ts";

/**
 * The driver's `cursor`, for sessions that can end between two batches. Its own then ends too, as if
 * there were no more rows, and it writes to a socket that it does not have any more when it is told
 * to go on or to stop, which ends the process.
 */
export function openCursor(this: Statement, ...args: unknown[]): Cursor {
  const { cursor } = Object.getPrototypeOf(this) as Statement;
  const take = args.at(-1);
  if (typeof take !== "function") {
    return batches(this, cursor.apply(this, args) as AsyncIterable<unknown>);
  }
  return cursor.call(this, ...args.slice(0, -1), async (rows: unknown) => {
    try {
      return await take(rows);
    } finally {
      if (this.failure !== undefined) await new Promise(() => {});
    }
  });
}

function batches(statement: Statement, iterable: AsyncIterable<unknown>): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const inner = iterable[Symbol.asyncIterator]();
      return {
        async next() {
          const batch = await inner.next();
          if (batch.done && statement.failure !== undefined) throw statement.failure;
          return batch;
        },
        async return() {
          if (statement.failure === undefined) await inner.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
