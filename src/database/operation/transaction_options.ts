import { DatabaseError } from "../errors.ts";
import type { TimeLimitOptions } from "./time_limit.ts";

const ISOLATION_LEVELS = ["read committed", "repeatable read", "serializable"] as const;

/** As in SQL. PostgreSQL has no "read uncommitted": it would be "read committed". */
export type IsolationLevel = typeof ISOLATION_LEVELS[number];

/** Settings of a transaction. */
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
