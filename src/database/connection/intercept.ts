import type postgres from "postgres";
import { cursorOpener } from "./cursor.ts";
import type { Sql } from "./driver.ts";
import { Ending } from "./ending.ts";
import { DatabaseError } from "../errors.ts";
import type { Statement, StatementListener } from "./statement.ts";

/**
 * The part of `sql` that is safe to hand out, with a listener; printing it shows no options. The
 * driver sends a statement when it is first waited for, which can be long after it was written
 * down, and fragments never: so the listener hooks into the sending.
 */
export function intercept(sql: Sql | postgres.Sql, listener: StatementListener): Sql {
  const { array, json, typed, types, CLOSE, END } = sql;
  const openCursor = cursorOpener(CLOSE);
  const watch = <T>(result: T): T => {
    if (!isStatement(result)) return result;
    result.cursor = openCursor;
    result.cancel = refuseCancel;
    watchStatement(result, listener);
    return result;
  };
  const tag = (...args: Parameters<Sql>) => watch(sql(...args));
  return Object.assign(tag, {
    array,
    json,
    typed,
    types,
    CLOSE,
    END,
    unsafe: (...args: Parameters<Sql["unsafe"]>) => watch(sql.unsafe(...args)),
    file: (...args: Parameters<Sql["file"]>) => watch(sql.file(...args)),
    notify: (channel: string, payload: string) => tag`select pg_notify(${channel}, ${payload})`,
  }) as unknown as Sql;
}

/** A tag also gives identifiers and helpers, which are only parts of a statement. */
function isStatement(value: unknown): value is Statement {
  return value instanceof Promise;
}

function watchStatement(statement: Statement, listener: StatementListener): void {
  const send = statement.handler;
  // First named, here and below: a function that is written where it is assigned to a property is
  // taken by V8 for one that stays, and lives, with its statement, until the next full collection.
  const sendWatched = () => {
    const refusal = listener.onSend(statement);
    if (refusal !== undefined) return statement.reject(refusal);
    watchEnd(statement, listener);
    send(statement);
    listener.onSent?.();
  };
  statement.handler = sendWatched;
}

/** The driver's own needs a socket of its own, and forgets that the answer still comes. */
function refuseCancel(): never {
  throw new DatabaseError("INVALID_USE", {
    message: "A statement is cancelled by the `signal` or `timeoutMs` of its operation",
  });
}

/** Not by `then`: cursors never settle, and an error that nobody handles must stay visible. */
function watchEnd(statement: Statement, listener: StatementListener): void {
  const ending = new Ending(statement, listener);
  if (statement.cursorFn !== undefined) {
    wrapReplaceable(statement, "resolve", (resolve, result) => ending.succeed(resolve, result));
    wrapReplaceable(statement, "reject", (reject, error) => ending.fail(reject, error));
    return;
  }
  const { resolve, reject } = statement;
  const succeed = (result: unknown) => ending.succeed(resolve, result);
  const fail = (error: unknown) => ending.fail(reject, error);
  statement.resolve = succeed;
  statement.reject = fail;
}

/** A cursor gets new functions with each batch; what is around them has to stay. */
function wrapReplaceable(
  statement: Statement,
  name: "resolve" | "reject",
  around: (inner: (value: unknown) => void, value: unknown) => void,
): void {
  let inner = statement[name];
  const outer = Object.getOwnPropertyDescriptor(statement, name);
  const read = outer?.get ?? (() => inner);
  Object.defineProperty(statement, name, {
    configurable: true,
    get: () => (value: unknown) => around(read(), value),
    set: outer?.set ?? ((next) => void (inner = next)),
  });
}
