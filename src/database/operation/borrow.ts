import type { Connection } from "../connection/connection.ts";
import { abortable } from "../deadline.ts";
import type { Sql } from "../connection/driver.ts";
import { abortReason, DatabaseError } from "../errors.ts";
import { Gate } from "./gate.ts";
import { explainCommit, explainRest, isUnknown } from "./outcome.ts";
import { settle } from "./settle.ts";

/** Runs the statements of an operation. Their errors are {@linkcode DatabaseError}s. */
export type Work<T> = (sql: Sql) => T | Promise<T>;

/** Settings of {@linkcode borrow}. */
export interface BorrowOptions {
  /** Aborting it ends what runs, on the server too. */
  readonly signal: AbortSignal | undefined;
  /** Whether `work` leaves a transaction open, which it must not have lost when it succeeds. */
  readonly isTransaction?: boolean;
  /** Whether a statement that was lost may be done all the same, and must not be done twice. */
  readonly isUnrepeatable?: boolean;
}

/**
 * Lets `work` use the connection, and ends in time; see {@linkcode runOperation}.
 * Afterwards nothing runs on the connection any more, or it is destroyed.
 */
export async function borrow<T>(
  connection: Connection,
  work: Work<T>,
  { signal, isTransaction = false, isUnrepeatable = false }: BorrowOptions,
): Promise<T> {
  const gate = new Gate(connection.sql, {
    explain: (error) =>
      isUnrepeatable ? explainCommit(connection, error) : connection.explain(error),
    signal,
  });
  const running = perform(gate, work);
  try {
    return await (signal === undefined ? running : abortable(running, signal));
  } catch (error) {
    const explainEnd = (error: unknown) =>
      isUnrepeatable && gate.mayHaveDone ? explainRest(error) : error;
    if (signal?.aborted) {
      const result = await interrupt(connection, gate, running, abortReason(signal))
        .catch((error) => Promise.reject(explainEnd(error)));
      // Success counts, also when it comes late, but what it did in a transaction is undone by now.
      if (!isTransaction) return result;
      throw abortReason(signal);
    }
    gate.close(tooLate());
    await settle(connection, gate);
    // Statements have failed with typed errors already; all else is the affair of `work`.
    throw explainEnd(error);
  } finally {
    gate.close(tooLate());
  }
}

async function perform<T>(gate: Gate, work: Work<T>): Promise<T> {
  const result = await work(gate.sql);
  await gate.untilDone();
  return result;
}

/** Ends what runs, and settles as `running` has done; as aborted if it has not. */
async function interrupt<T>(
  connection: Connection,
  gate: Gate,
  running: Promise<T>,
  reason: DatabaseError,
): Promise<T> {
  let end: PromiseSettledResult<T> | undefined;
  void Promise.allSettled([running]).then(([result]) => end = result);
  const isUndone = await settle(connection, gate, reason);
  if (end?.status === "fulfilled" && !isUndone) return end.value;
  // What was cut off has failed by now, but `work` may not have taken notice.
  if (end?.status !== "rejected") throw isUnknown(gate.lastFailure) ? gate.lastFailure : reason;
  throw isCancelled(end.reason) ? reason : end.reason;
}

function isCancelled(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === "57014";
}

function tooLate(): DatabaseError {
  return new DatabaseError("INVALID_USE", {
    message: "The operation has ended, and its `sql` with it: run statements inside its function",
  });
}
