import type { Connection } from "../connection/connection.ts";
import { abortReason, DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import { asOutcome, borrow } from "./operation.ts";
import { retrySome } from "../retry.ts";
import { GRACE_MS, type Lend, TimeLimit, type TimeLimitOptions } from "./time_limit.ts";
import { type Transaction, TransactionScope } from "./transaction_scope.ts";
import { type Clock, systemClock } from "../../time.ts";

/** As in SQL. PostgreSQL has no "read uncommitted": it would be "read committed". */
export type IsolationLevel = "read committed" | "repeatable read" | "serializable";

const ISOLATION_LEVELS: readonly IsolationLevel[] = [
  "read committed",
  "repeatable read",
  "serializable",
];

/** How a transaction runs: its limit, its isolation, and how often it is repeated. */
export interface TransactionOptions extends TimeLimitOptions {
  /** Default: the session's, normally "read committed". */
  readonly isolation?: IsolationLevel | undefined;
  /** Refuses to write; default: the session's, normally false. */
  readonly readOnly?: boolean | undefined;
  /**
   * Waits at its start until it can run without a serialization failure. Needs
   * `isolation: "serializable"` and `readOnly: true`: PostgreSQL ignores it otherwise.
   */
  readonly deferrable?: boolean | undefined;
  /**
   * How often the whole transaction is repeated after a serialization failure or
   * a deadlock; default: 0. Its function is then called again, so it must not
   * have effects outside of the database. Nothing else is ever repeated.
   */
  readonly retries?: number | undefined;
}

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
 * @throws {DatabaseError} `COMMIT_UNKNOWN` when the answer to the commit got lost:
 * it may or may not be committed. After every other error it is not committed,
 * unless `work` has sent a commit itself:
 * `TRANSACTION_ABORTED` when a statement has failed but `work` has not,
 * `SERIALIZATION_FAILURE` and `DEADLOCK` after the last retry, `INVALID_USE` for
 * options that do not go together, when `work` has ended the transaction itself, or when a statement
 * of it was written and never waited for, and all that `runOperation` throws.
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
  const result = await borrow(connection, async (whole) => {
    scope = new TransactionScope(whole);
    await whole.script(attempt.begin);
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
    return (await connection.script("commit")).command;
  } catch (error) {
    if (connection.isUnanswered(error)) connection.destroy();
    throw readOnly ? error : asOutcome(connection, error);
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

/**
 * The statement that begins the transaction.
 *
 * @throws {DatabaseError} `INVALID_USE`, naming the option.
 *
 * Source: PostgreSQL documentation, "SET TRANSACTION".
 */
export function beginStatement(options: TransactionOptions): string {
  const { isolation, readOnly, deferrable, retries = 0 } = options;
  if (isolation !== undefined && !ISOLATION_LEVELS.includes(isolation)) {
    throw invalid(`isolation must be one of: ${ISOLATION_LEVELS.join(", ")}`);
  }
  if (deferrable && !(isolation === "serializable" && readOnly)) {
    throw invalid('deferrable needs isolation: "serializable" and readOnly: true');
  }
  if (!(Number.isInteger(retries) && retries >= 0)) {
    throw invalid("retries must be a whole number, 0 or more");
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
