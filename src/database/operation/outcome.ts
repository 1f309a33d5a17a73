import type { Connection } from "../connection/connection.ts";
import { DatabaseError } from "../errors.ts";

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
