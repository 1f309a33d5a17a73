import type { Connection } from "../connection/connection.ts";
import { abortReason, DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import { asOutcome, borrow } from "./operation.ts";
import { retrySome } from "../retry.ts";
import { GRACE_MS, type Lend, TimeLimit, type TimeLimitOptions } from "./time_limit.ts";
import { type Transaction, TransactionScope } from "./transaction_scope.ts";
import { type Clock, systemClock } from "../../time.ts";

/** As in SQL. PostgreSQL treats "read uncommitted" as "read committed". */
export type IsolationLevel = "read committed" | "repeatable read" | "serializable";

const ISOLATION_LEVELS: readonly IsolationLevel[] = [
  "read committed",
  "repeatable read",
  "serializable",
];

/** Time limit, isolation and retries of a transaction. */
export interface TransactionOptions extends TimeLimitOptions {
  /** Default: that of the session, normally "read committed". */
  readonly isolation?: IsolationLevel | undefined;
  /** Refuses writes. Default: that of the session, normally false. */
  readonly readOnly?: boolean | undefined;
  /**
   * Waits at its start until it can run without a serialization failure. Requires
   * `isolation: "serializable"` and `readOnly: true`; PostgreSQL would ignore it otherwise.
   */
  readonly deferrable?: boolean | undefined;
  /**
   * Maximum number of times to repeat the whole transaction after a serialization failure or a
   * deadlock. Default: 0. Its function is then called again, so it must not have effects outside of
   * the database. Other errors are never retried.
   */
  readonly retries?: number | undefined;
}

/** Jittered delays between retries, long enough for the conflicting transaction to complete. */
const RETRY_DELAYS = { initialDelayMs: 10, maxDelayMs: 1000 };

/** Errors after which a transaction can be retried. The server has rolled it back. */
const CONFLICTS: ReadonlySet<DatabaseErrorCode> = new Set(["SERIALIZATION_FAILURE", "DEADLOCK"]);

/**
 * Runs `work` in a transaction, on a single connection: commits when `work` resolves, and rolls
 * back when it rejects.
 *
 * On timeout and abort it ends as an operation does, except that a running commit is never
 * cancelled: the server could then commit without its synchronous standby. The answer to the commit
 * is awaited for up to a second; if it arrives, it counts.
 *
 * @throws {DatabaseError} `COMMIT_UNKNOWN` if the answer to the commit was lost: the transaction
 * may or may not be committed. After all other errors it is not committed, unless `work` has sent a
 * commit itself: `TRANSACTION_ABORTED` if a statement has failed but `work` has not;
 * `SERIALIZATION_FAILURE` and `DEADLOCK` after the last retry; `INVALID_USE` if options are
 * incompatible, `work` has ended the transaction itself, or a statement was created but never
 * awaited; and the errors of `runOperation`.
 */
export async function runTransaction<T>(
  lend: Lend,
  work: (tx: Transaction) => T | Promise<T>,
  options: TransactionOptions = {},
  { clock, random }: { readonly clock: Clock; readonly random: () => number } = {
    clock: systemClock,
    random: Math.random,
  },
): Promise<T> {
  const begin = beginStatement(options);
  using limit = new TimeLimit(options, clock);
  const { signal } = limit;
  const attempt = { begin, readOnly: options.readOnly ?? false, signal };
  return await retrySome(
    () => limit.lend(lend, (connection) => transact(connection, work, attempt)),
    { ...RETRY_DELAYS, retries: options.retries ?? 0, isRetryable, signal, clock, random },
  );
}

/** What all attempts of a transaction share. */
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
  const result = await borrow(connection, async (whole) => {
    scope = new TransactionScope(whole);
    await whole.script(attempt.begin);
    return await scope.run(work);
  }, { signal: attempt.signal, isTransaction: true });
  // The last statements of `work` have ended, so this is valid.
  if (!connection.closed && !connection.isInTransaction) {
    connection.destroy();
    throw endedByHand();
  }
  const tag = await commit(connection, attempt);
  // The server does not report an error for the commit of a failed transaction.
  if (tag !== "COMMIT") throw scope?.aborted();
  return result;
}

/** @returns The server's command tag. */
async function commit(connection: Connection, { readOnly, signal }: Attempt): Promise<string> {
  using _patience = destroyLater(connection, signal);
  try {
    return (await connection.script("commit")).command;
  } catch (error) {
    if (connection.isUnanswered(error)) connection.destroy();
    throw readOnly ? error : asOutcome(connection, error);
  }
}

/** Destroys the connection some time after the signal aborts, unless disposed before. */
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
  // `work` may have swallowed the conflict and continued.
  if (error.code === "TRANSACTION_ABORTED") return isRetryable(error.cause);
  return CONFLICTS.has(error.code);
}

/**
 * Later statements have committed by themselves, and must not be mistaken for part of the whole.
 */
function endedByHand(): DatabaseError {
  return new DatabaseError("INVALID_USE", {
    message:
      "The function of the transaction has ended it with a statement: return or throw instead",
  });
}

/**
 * Returns the statement that starts the transaction.
 *
 * @throws {DatabaseError} `INVALID_USE`; the message names the option.
 *
 * Source: PostgreSQL documentation, "SET TRANSACTION".
 */
export function beginStatement(options: TransactionOptions): string {
  const { isolation, readOnly, deferrable, retries = 0 } = options;
  if (isolation !== undefined && !ISOLATION_LEVELS.includes(isolation)) {
    throw invalid(`isolation must be one of: ${ISOLATION_LEVELS.join(", ")}`);
  }
  if (deferrable && !(isolation === "serializable" && readOnly)) {
    throw invalid('deferrable requires isolation: "serializable" and readOnly: true');
  }
  if (!(Number.isInteger(retries) && retries >= 0)) {
    throw invalid("retries must be a whole number, 0 or greater");
  }
  return [
    "begin",
    ...(isolation === undefined ? [] : [`isolation level ${isolation}`]),
    ...(readOnly ? ["read only"] : []),
    ...(deferrable ? ["deferrable"] : []),
  ].join(" ");
}

function invalid(message: string): DatabaseError {
  return new DatabaseError("INVALID_USE", { message: `Transaction: ${message}` });
}
