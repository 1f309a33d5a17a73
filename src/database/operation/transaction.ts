import { borrow } from "./borrow.ts";
import type { Connection } from "../connection/connection.ts";
import { abortReason, DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import type { Lender } from "./lender.ts";
import { explainCommit } from "./outcome.ts";
import { retrySome } from "../retry.ts";
import { GRACE_MS, TimeLimit } from "./time_limit.ts";
import { beginStatement, type TransactionOptions } from "./transaction_options.ts";
import { type Transaction, TransactionScope } from "./transaction_scope.ts";

/** Jittered delays between repetitions: long enough for the other transaction to get out of the way. */
const RETRY_DELAYS = { initialDelayMs: 10, maxDelayMs: 1000 };

/** Errors that tell a transaction to try again. The server has rolled it back. */
const CONFLICTS: ReadonlySet<DatabaseErrorCode> = new Set(["SERIALIZATION_FAILURE", "DEADLOCK"]);

/**
 * Runs `work` in a transaction, on one connection from beginning to end: commits
 * when `work` resolves, and rolls back when it rejects.
 *
 * On time-out and abort it ends as an operation does, except that a commit which
 * has begun is never cancelled: the server could commit without its synchronous
 * standby then. Its answer is waited for, for a second; if it comes, it counts.
 *
 * ```ts ignore
 * await runTransaction(lender, async (tx) => {
 *   await tx`update account set balance = balance - ${amount} where id = ${from}`;
 *   await tx`update account set balance = balance + ${amount} where id = ${to}`;
 * }, { isolation: "serializable", retries: 5, timeoutMs: 2000 });
 * ```
 *
 * @throws {DatabaseError} `COMMIT_UNKNOWN` when the answer to the commit got lost:
 * it may or may not be committed. After every other error it is not committed,
 * unless `work` has sent a commit itself:
 * `TRANSACTION_ABORTED` when a statement has failed but `work` has not,
 * `SERIALIZATION_FAILURE` and `DEADLOCK` after the last retry, `INVALID_USE` for
 * options that do not go together or when `work` has ended the transaction, and all that `runOperation` throws.
 */
export async function runTransaction<T>(
  lender: Lender,
  work: (tx: Transaction) => T | Promise<T>,
  options: TransactionOptions = {},
): Promise<T> {
  const begin = beginStatement(options);
  const { clock, random } = lender;
  using limit = new TimeLimit(options, clock);
  const { signal } = limit;
  const attempt = { begin, readOnly: options.readOnly ?? false, signal };
  return await retrySome(
    () => limit.lend(lender.lend, (connection) => transact(connection, work, attempt)),
    { ...RETRY_DELAYS, retries: options.retries ?? 0, isRetryable, signal, clock, random },
  );
}

/** What all attempts of a transaction have in common. */
interface Attempt {
  readonly begin: string;
  readonly readOnly: boolean;
  readonly signal: AbortSignal | undefined;
}

async function transact<T>(
  connection: Connection,
  work: (tx: Transaction) => T | Promise<T>,
  attempt: Attempt,
): Promise<T> {
  let scope: TransactionScope | undefined;
  const result = await borrow(connection, async (sql) => {
    scope = new TransactionScope(sql);
    await sql.unsafe(attempt.begin);
    return await scope.run(work);
  }, { signal: attempt.signal, isTransaction: true });
  // The last statements of `work` have ended, so this is known.
  if (!connection.closed && !connection.isInTransaction) {
    connection.destroy();
    throw endedByHand();
  }
  const tag = await commit(connection, attempt);
  // The server's answer to the commit of a transaction that has failed is no error.
  if (tag !== "COMMIT") throw scope?.aborted();
  return result;
}

/** @returns The server's command tag. */
async function commit(connection: Connection, { readOnly, signal }: Attempt): Promise<string> {
  using _patience = destroyLater(connection, signal);
  try {
    return (await connection.sql`commit`.simple()).command;
  } catch (error) {
    if (connection.isUnanswered(error)) connection.destroy();
    throw readOnly ? connection.explain(error) : explainCommit(connection, error);
  }
}

/** Destroys the connection some time after the signal aborts; not when it is disposed before. */
function destroyLater(connection: Connection, signal: AbortSignal | undefined): Disposable {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const onAbort = () => {
    timer = setTimeout(() => connection.destroy(abortReason(signal)), GRACE_MS);
  };
  if (signal?.aborted) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  return {
    [Symbol.dispose]() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    },
  };
}

function isRetryable(error: unknown): boolean {
  if (!(error instanceof DatabaseError)) return false;
  // `work` may have hidden the conflict, and gone on in vain.
  if (error.code === "TRANSACTION_ABORTED") return isRetryable(error.cause);
  return CONFLICTS.has(error.code);
}

/** What ran after its end has committed by itself, and nobody may take it for part of the whole. */
function endedByHand(): DatabaseError {
  return new DatabaseError("INVALID_USE", {
    message: "The transaction was ended by a statement of its function: return or throw instead",
  });
}
