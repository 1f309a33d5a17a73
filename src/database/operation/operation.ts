import type { Access } from "../access_mode.ts";
import type { Connection } from "../connection/connection.ts";
import { borrow, type Work } from "./borrow.ts";
import type { Parameter } from "../connection/driver.ts";
import { DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import type { Lender } from "./lender.ts";
import { explainCommit } from "./outcome.ts";
import { TimeLimit, type TimeLimitOptions } from "./time_limit.ts";

export type { Work } from "./borrow.ts";

/** Settings of a single operation. */
export interface OperationOptions extends TimeLimitOptions {
  /**
   * Whether it may be done twice, as any read may. Then it is repeated once when its
   * connection is lost, or the server stops it (`statement_timeout`), within its own limit.
   */
  readonly idempotent?: boolean | undefined;
  /** `read` may go to a read host while the primary is away; see {@linkcode Access}. */
  readonly access?: Access | undefined;
}

/** A connection was lost, and perhaps another one is not; or the server took too long this time. */
const REPEATED: ReadonlySet<DatabaseErrorCode> = new Set([
  "CONNECTION_LOST",
  "SERVER_SHUTTING_DOWN",
  "STATEMENT_TIMEOUT",
]);

/**
 * Lends a connection to `work`. Its statements end with it: one that it has not
 * waited for is waited for, and later ones are refused. When it fails, so does a
 * transaction that it has begun by hand.
 *
 * At the deadline or on abort, what runs is cancelled on the server. The
 * operation fails within about a second after that, also when the server is
 * gone; should `work` succeed after all, so does the operation.
 *
 * @throws {DatabaseError} `STATEMENT_TIMEOUT` (`ACQUIRE_TIMEOUT` while it waits
 * for a connection), `ABORTED`, what lending throws, or what a statement failed
 * with. `COMMIT_UNKNOWN` when a statement was sent and its answer got lost, or an
 * earlier one was done and a later one failed in a way that asks for a repetition,
 * unless the options say that the operation only reads or may be done twice. Errors
 * of `work` itself are passed on.
 */
export async function runOperation<T>(
  lender: Lender,
  work: Work<T>,
  options: OperationOptions = {},
): Promise<T> {
  using limit = new TimeLimit(options, lender.clock);
  const borrowing = { signal: limit.signal, isUnrepeatable: isUnrepeatable(options) };
  return await lendTo(lender, (connection) => borrow(connection, work, borrowing), {
    limit,
    idempotent: options.idempotent ?? false,
  });
}

function isUnrepeatable({ access, idempotent = false }: OperationOptions): boolean {
  return access !== "read" && !idempotent;
}

/** Runs one statement, as {@linkcode runOperation} does. */
export async function runStatement<Row extends object>(
  lender: Lender,
  strings: TemplateStringsArray,
  parameters: readonly Parameter[],
  options: OperationOptions = {},
): Promise<readonly Row[]> {
  const { signal, timeoutMs, idempotent } = options;
  if (signal !== undefined || timeoutMs !== undefined || idempotent) {
    const run: Work<readonly Row[]> = async (sql) =>
      rowsOf(await sql<Row[]>(strings, ...parameters));
    return await runOperation(lender, run, options);
  }
  // The fast path: nothing can interrupt it, and no `sql` is handed out, so it needs no gate.
  return await lender.lend(async (connection) => {
    try {
      return rowsOf(await connection.sql<Row[]>(strings, ...parameters));
    } catch (error) {
      if (isInvalidUse(error)) connection.destroy(); // It is in the middle of a COPY.
      throw isUnrepeatable(options) ? explainCommit(connection, error) : connection.explain(error);
    }
  }, undefined);
}

function isInvalidUse(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === "INVALID_USE";
}

/** @throws {DatabaseError} `INVALID_USE` for the stream that a COPY gives. */
function rowsOf<Row>(result: readonly Row[]): readonly Row[] {
  if (Array.isArray(result)) return result;
  throw new DatabaseError("INVALID_USE", {
    message: "A single query cannot COPY: use `withConnection`, and end the stream inside it",
  });
}

/** Lends a connection within the limit; once more when that may help and does no harm. */
async function lendTo<T>(
  { lend }: Lender,
  use: (connection: Connection) => Promise<T>,
  { limit, idempotent }: { readonly limit: TimeLimit; readonly idempotent: boolean },
): Promise<T> {
  try {
    return await limit.lend(lend, use);
  } catch (error) {
    const mayHelp = error instanceof DatabaseError && REPEATED.has(error.code);
    if (!mayHelp || !idempotent || limit.signal?.aborted) throw error;
    return await limit.lend(lend, use);
  }
}
