import type { Connection } from "../connection/connection.ts";
import { DatabaseError } from "../errors.ts";

/** Whether it is the error of what may have been done or not. */
export function isUnknown(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === "COMMIT_UNKNOWN";
}

/**
 * What an operation fails with after an earlier statement of it was done: as that stays done,
 * nobody may take the error for one after which all of it can simply be repeated.
 */
export function explainRest(error: unknown): unknown {
  if (!(error instanceof DatabaseError) || !error.retryable) return error;
  const message = `Done in part: an earlier statement had ended, then ${error.message}`;
  return new DatabaseError("COMMIT_UNKNOWN", { message, cause: error });
}

/**
 * The typed error of a statement that commits by itself, as `Connection.explain` gives it; but
 * `COMMIT_UNKNOWN` when the statement was sent and its answer got lost, because whoever repeats it
 * may then do it twice.
 */
export function explainCommit(connection: Connection, error: unknown): unknown {
  const explained = connection.explain(error);
  if (!connection.isUnanswered(error)) return explained;
  return new DatabaseError("COMMIT_UNKNOWN", { cause: explained });
}
