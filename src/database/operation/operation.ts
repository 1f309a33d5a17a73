import type { Access } from "../access_mode.ts";
import type { Connection } from "../connection/connection.ts";
import { compile, type Rows, type Sql, type SqlValue } from "../connection/sql.ts";
import { abortReason, DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import { isUnknown, StatementScope } from "./statement_scope.ts";
import { GRACE_MS, type Lend, TimeLimit, type TimeLimitOptions } from "./time_limit.ts";
import { abortable, type Clock, Deadline, systemClock } from "../../time.ts";

/** Runs the statements of an operation. Their errors are {@linkcode DatabaseError}s. */
export type Work<T> = (sql: Sql) => T | Promise<T>;

/** How one operation runs: its limit, and what it may do. */
export interface OperationOptions extends TimeLimitOptions {
  /**
   * Whether it may be done twice, as any read may; default: false. Then it is repeated once when
   * its connection is lost, or the server stops it (`statement_timeout`), within its own limit.
   */
  readonly idempotent?: boolean | undefined;
  /** `read` may go to a read host while the primary is away; see {@linkcode Access}. */
  readonly access?: Access | undefined;
}

/** A connection was lost, and another one may not be; or the server took too long this time. */
const REPEATED: ReadonlySet<DatabaseErrorCode> = new Set([
  "CONNECTION_LOST",
  "SERVER_SHUTTING_DOWN",
  "STATEMENT_TIMEOUT",
]);

/** A cancel request that comes between two statements does nothing. */
const CANCEL_AGAIN_MS = 100;

/**
 * Runs one statement on a connection of its own.
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
  // The fast path: nothing can interrupt it, and no `sql` is handed out, so it needs no scope.
  return await lend(async (connection) => {
    try {
      return await connection.run(statement) as Rows<Row>;
    } catch (error) {
      throw isUnrepeatable(options) ? asOutcome(connection, error) : error;
    }
  }, undefined);
}

/**
 * Lends a connection to `work`. Its statements end with it: one that was begun is waited for, one
 * that was forgotten fails the operation, and later ones are refused. When it fails, a transaction
 * that it has begun by hand is rolled back.
 *
 * At the deadline or on abort, what runs is cancelled on the server. The operation fails within
 * about a second after that, also when the server is gone; should `work` succeed after all, so does
 * the operation.
 *
 * @throws {DatabaseError} `STATEMENT_TIMEOUT` (`ACQUIRE_TIMEOUT` while it waits for a connection),
 * `ABORTED`, what lending throws, or what a statement failed with. `COMMIT_UNKNOWN` when a statement
 * was sent and its answer was lost, or an earlier one was done and a later one failed in a way that
 * asks for a repetition, unless the options say that the operation only reads or may be done twice.
 * `INVALID_USE` when a statement was written and never waited for. Errors of `work` are passed on.
 */
export function runOperation<T>(
  lend: Lend,
  work: Work<T>,
  options: OperationOptions = {},
  clock: Clock = systemClock,
): Promise<T> {
  return runInScope(lend, (scope) => work(scope.sql), options, clock);
}

/** What a borrower of a connection does with it. */
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

/** How {@linkcode borrow} treats an end before the work's own. */
export interface BorrowOptions {
  /** Aborting it ends what runs, on the server too. */
  readonly signal: AbortSignal | undefined;
  /** Whether `work` leaves a transaction open, which it must not have lost when it succeeds. */
  readonly isTransaction?: boolean;
  /** Whether a statement whose answer was lost may have been done, and must not be done twice. */
  readonly isUnrepeatable?: boolean;
}

/**
 * Lets `work` use the connection, and ends in time; see {@linkcode runOperation}. Afterwards nothing
 * runs on the connection, or it is destroyed.
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
      await settle(connection);
      throw explainEnd(error);
    }
    const result = await interrupt(connection, scope, running, abortReason(signal))
      .catch((error) => Promise.reject(explainEnd(error)));
    // Success counts, also when it comes late, but what it did in a transaction is undone by now.
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

/** Ends what runs, and settles as `running` has done; as aborted if it has not. */
async function interrupt<T>(
  connection: Connection,
  scope: StatementScope,
  running: Promise<T>,
  reason: DatabaseError,
): Promise<T> {
  let end: PromiseSettledResult<T> | undefined;
  void Promise.allSettled([running]).then(([result]) => end = result);
  const isUndone = await settle(connection, reason);
  if (end?.status === "fulfilled" && !isUndone) return end.value;
  // What was cut off has failed by now, but `work` may not have noticed.
  if (end?.status !== "rejected") throw isUnknown(scope.lastFailure) ? scope.lastFailure : reason;
  throw isCancelled(end.reason) ? reason : end.reason;
}

/**
 * Ends what runs on the connection, and an open transaction; then the connection is as good as new,
 * or it is destroyed. Takes about a second at most, and never rejects. Its scope must be closed, so
 * that what waits for its turn is refused.
 *
 * A cancel request overtakes or trails the session's own messages. So after the last one has surely
 * arrived, a fence is sent, a statement to which nothing can happen any more. Only the answer to it
 * proves the connection clean.
 *
 * @param reason What statements fail with that have to be cut off.
 * @returns Whether a transaction was open, and was rolled back.
 */
async function settle(
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
    // Outside of a transaction it changes nothing, and it may also follow an error.
    await abortable(connection.script("rollback"), grace.signal);
    return isInTransaction;
  } catch {
    connection.destroy(reason);
    return false;
  }
}

/**
 * The error of a statement that commits by itself: `COMMIT_UNKNOWN` when it was sent and its answer
 * was lost, because whoever repeats it may then do it twice.
 */
export function asOutcome(connection: Connection, error: unknown): unknown {
  if (!connection.isUnanswered(error)) return error;
  return new DatabaseError("COMMIT_UNKNOWN", { cause: error });
}

/**
 * The error of an operation that has done an earlier statement: as that stays done, nobody may take
 * the error for one after which all of it can simply be repeated.
 */
function asPartlyDone(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || !error.retryable) return error;
  const message = `Done in part: an earlier statement had ended, then ${error.message}`;
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
