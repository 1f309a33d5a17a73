import type { Access } from "../access_mode.ts";
import type { Connection } from "../connection/connection.ts";
import { compile, type Rows, type Sql, type SqlValue } from "../connection/sql.ts";
import { abortReason, DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import { isUnknown, StatementScope } from "./statement_scope.ts";
import { GRACE_MS, type Lend, TimeLimit, type TimeLimitOptions } from "./time_limit.ts";
import { abortable, type Clock, Deadline, systemClock } from "../../time.ts";

/** Runs the statements of an operation. Its errors are {@linkcode DatabaseError}s. */
export type Work<T> = (sql: Sql) => T | Promise<T>;

/** Timeout and access of an operation, and whether it may be repeated. */
export interface OperationOptions extends TimeLimitOptions {
  /**
   * Whether it may run twice, as reads may. Default: false. It is then repeated once if its
   * connection is lost or the server cancels it (`statement_timeout`), within the same time limit.
   */
  readonly idempotent?: boolean | undefined;
  /** `read` may use a read host while the primary is unavailable; see {@linkcode Access}. */
  readonly access?: Access | undefined;
}

/** Errors after which a repetition on another connection may succeed. */
const REPEATED: ReadonlySet<DatabaseErrorCode> = new Set([
  "CONNECTION_LOST",
  "SERVER_SHUTTING_DOWN",
  "STATEMENT_TIMEOUT",
]);

/** A cancel request between two statements has no effect. */
const CANCEL_AGAIN_MS = 100;

/**
 * Acquires a connection and runs one statement.
 *
 * @throws {DatabaseError} As {@linkcode runOperation}.
 */
export async function runStatement<Row extends object>(
  lend: Lend,
  strings: TemplateStringsArray,
  values: readonly SqlValue[],
  options: OperationOptions = {},
  clock: Clock = systemClock,
): Promise<Rows<Row>> {
  const statement = compile(strings, values);
  const { signal, timeoutMs, idempotent } = options;
  if (signal !== undefined || timeoutMs !== undefined || idempotent) {
    const run = (scope: StatementScope) => scope.run(statement) as Promise<Rows<Row>>;
    return await runInScope(lend, run, options, clock);
  }
  // Fast path: no signal can abort it, and no `sql` is exposed, so it needs no scope.
  return await lend(async (connection) => {
    try {
      return await connection.run(statement) as Rows<Row>;
    } catch (error) {
      throw isUnrepeatable(options) ? asOutcome(connection, error) : error;
    }
  }, undefined);
}

/**
 * Acquires a connection and passes it to `work`. Its statements end with it: running ones are
 * awaited, one that was never awaited fails the operation, and later ones are refused. If it fails,
 * a transaction that it has started with statements is rolled back.
 *
 * At the deadline or on abort, the running statement is cancelled on the server. The operation
 * fails within about a second after that, even if the server does not respond; if `work` succeeds
 * nevertheless, so does the operation.
 *
 * @throws {DatabaseError} `STATEMENT_TIMEOUT` (`ACQUIRE_TIMEOUT` while it waits for a connection);
 * `ABORTED`; errors of acquiring; errors of statements. `COMMIT_UNKNOWN` if a statement was sent
 * and its answer was lost, or if a statement had completed before a later one failed with a
 * retryable error, unless the options declare that the operation only reads or may be repeated.
 * `INVALID_USE` if a statement was created but never awaited. Errors of `work` are thrown
 * unchanged.
 */
export function runOperation<T>(
  lend: Lend,
  work: Work<T>,
  options: OperationOptions = {},
  clock: Clock = systemClock,
): Promise<T> {
  return runInScope(lend, (scope) => work(scope.sql), options, clock);
}

/** What to do with an acquired connection. */
type ScopedWork<T> = (scope: StatementScope) => T | Promise<T>;

async function runInScope<T>(
  lend: Lend,
  work: ScopedWork<T>,
  options: OperationOptions,
  clock: Clock,
): Promise<T> {
  using limit = new TimeLimit(options, clock);
  const { signal } = limit;
  const borrowing = { signal, isUnrepeatable: isUnrepeatable(options) };
  const use = (connection: Connection) => borrow(connection, work, borrowing);
  try {
    return await limit.lend(lend, use);
  } catch (error) {
    const mayHelp = error instanceof DatabaseError && REPEATED.has(error.code);
    if (!mayHelp || !options.idempotent || signal?.aborted) throw error;
    return await limit.lend(lend, use);
  }
}

function isUnrepeatable({ access, idempotent = false }: OperationOptions): boolean {
  return access !== "read" && !idempotent;
}

/** Conditions under which {@linkcode borrow} ends before the work does. */
export interface BorrowOptions {
  /** Aborts the running statement, on the server too. */
  readonly signal: AbortSignal | undefined;
  /** Whether `work` leaves a transaction open; if that is lost, the work has not succeeded. */
  readonly isTransaction?: boolean;
  /** Whether a statement whose answer was lost must not be repeated. */
  readonly isUnrepeatable?: boolean;
}

/**
 * Passes the connection to `work`, with a time limit; see {@linkcode runOperation}. Afterwards no
 * statement is running on the connection, or it is destroyed.
 */
export async function borrow<T>(
  connection: Connection,
  work: ScopedWork<T>,
  { signal, isTransaction = false, isUnrepeatable = false }: BorrowOptions,
): Promise<T> {
  const explain = (error: unknown) => asOutcome(connection, error);
  const scope = new StatementScope(connection, isUnrepeatable ? { signal, explain } : { signal });
  const running = perform(scope, work);
  try {
    return await (signal === undefined ? running : abortable(running, signal, abortReason));
  } catch (error) {
    const explainEnd = (error: unknown) =>
      isUnrepeatable && scope.mayHaveDone ? asPartlyDone(error) : error;
    if (!signal?.aborted) {
      scope.close(ended());
      await cleanUp(connection);
      throw explainEnd(error);
    }
    const result = await interrupt(connection, scope, running, abortReason(signal))
      .catch((error) => Promise.reject(explainEnd(error)));
    // A late success counts, but not if it was in a transaction that is rolled back by now.
    if (!isTransaction) return result;
    throw abortReason(signal);
  } finally {
    scope.close(ended());
  }
}

async function perform<T>(scope: StatementScope, work: ScopedWork<T>): Promise<T> {
  const result = await work(scope);
  await scope.untilDone();
  return result;
}

/** Ends what is running, and settles like `running`; if that does not settle, as aborted. */
async function interrupt<T>(
  connection: Connection,
  scope: StatementScope,
  running: Promise<T>,
  reason: DatabaseError,
): Promise<T> {
  let end: PromiseSettledResult<T> | undefined;
  void Promise.allSettled([running]).then(([result]) => end = result);
  const isUndone = await cleanUp(connection, reason);
  if (end?.status === "fulfilled" && !isUndone) return end.value;
  // Its statements have failed by now, even if `work` has not settled.
  if (end?.status !== "rejected") throw isUnknown(scope.lastFailure) ? scope.lastFailure : reason;
  throw isCancelled(end.reason) ? reason : end.reason;
}

/**
 * Cancels the running statement and rolls back an open transaction; afterwards the connection is
 * clean, or it is destroyed. Takes at most about a second, and never rejects. Its scope must be
 * closed, so that queued statements are refused.
 *
 * A cancel request is not ordered with the messages of the session. So after the last one has
 * certainly arrived, a final statement is sent that nothing can cancel. Only its answer proves that
 * the connection is clean.
 *
 * @param reason Error of the statements that have to be aborted.
 * @returns Whether a transaction was open, and was rolled back.
 */
async function cleanUp(
  connection: Connection,
  reason: DatabaseError = new DatabaseError("CONNECTION_LOST"),
): Promise<boolean> {
  if (connection.closed) return false;
  using grace = new Deadline({ timeoutMs: GRACE_MS, onTimeout: () => reason });
  try {
    while (connection.isBusy) {
      await connection.cancel(grace.signal);
      using short = new Deadline({
        timeoutMs: CANCEL_AGAIN_MS,
        signal: grace.signal,
        onTimeout: () => new DatabaseError("STATEMENT_TIMEOUT"),
      });
      await abortable(connection.untilIdle(), short.signal).catch(() => {});
    }
    const { isInTransaction } = connection;
    // Outside of a transaction this has no effect; it also works after an error.
    await abortable(connection.script("rollback"), grace.signal);
    return isInTransaction;
  } catch {
    connection.destroy(reason);
    return false;
  }
}

/**
 * Returns the error of an autocommit statement: `COMMIT_UNKNOWN` if it was sent and its answer was
 * lost, because a repetition could then execute it twice.
 */
export function asOutcome(connection: Connection, error: unknown): unknown {
  if (!connection.isUnanswered(error)) return error;
  return new DatabaseError("COMMIT_UNKNOWN", { cause: error });
}

/**
 * Returns the error of an operation after one of its statements has completed: as that one has
 * taken effect, the error must not be mistaken for one after which the whole operation can be
 * repeated.
 */
function asPartlyDone(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || !error.retryable) return error;
  const message = `Partly executed: a statement had completed before this error: ${error.message}`;
  return new DatabaseError("COMMIT_UNKNOWN", { message, cause: error });
}

function isCancelled(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === "57014";
}

function ended(): DatabaseError {
  return new DatabaseError("INVALID_USE", {
    message: "This `sql` is no longer valid: its callback has returned. Run statements inside it",
  });
}
