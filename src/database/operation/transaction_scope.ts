import type { Sql } from "../connection/driver.ts";
import { DatabaseError } from "../errors.ts";
import { Gate } from "./gate.ts";

/** Runs the statements of a transaction, until its function settles. */
export interface Transaction extends Sql {
  /**
   * Runs `work` so that its failure undoes only its own statements: catch the
   * error, and the transaction goes on. Meanwhile only the inner `sql` can be used.
   *
   * ```ts ignore
   * await tx.savepoint((tx) => tx`insert into tag values (${tag})`).catch(ignoreDuplicate);
   * ```
   *
   * @throws {DatabaseError} `TRANSACTION_ABORTED` when a statement has failed but `work` has not.
   */
  savepoint<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T>;
}

/** The statements between a begin or savepoint and its end. */
export class TransactionScope {
  readonly #sql: Sql;
  readonly #depth: number;
  readonly #gate: Gate;
  readonly #handle: Transaction;
  /** Why a savepoint's statements could not be undone. */
  #notUndone: unknown;

  /** @param sql Of the whole transaction. */
  constructor(sql: Sql, depth = 0) {
    this.#sql = sql;
    this.#depth = depth;
    this.#gate = new Gate(sql);
    this.#handle = Object.assign(this.#gate.sql, {
      savepoint: <T>(work: (tx: Transaction) => T | Promise<T>) => this.#savepoint(work),
    });
  }

  /** Calls `work` and waits for its statements. Later ones are refused. */
  async run<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T> {
    try {
      const result = await work(this.#handle);
      if (this.#notUndone !== undefined) throw doomed(this.#notUndone);
      await this.#gate.untilDone();
      return result;
    } catch (error) {
      throw isAborted(error) ? this.aborted() : error;
    } finally {
      this.#gate.close(
        new DatabaseError("INVALID_USE", {
          message: "The transaction has ended: run its statements before its function settles",
        }),
      );
    }
  }

  /** The error for a scope in which a statement failed, and its function went on. */
  aborted(): DatabaseError {
    return new DatabaseError("TRANSACTION_ABORTED", { cause: this.#gate.failure });
  }

  async #savepoint<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T> {
    if (this.#gate.refusal !== undefined) throw this.#gate.refusal;
    using _pause = this.#gate.pause(
      new DatabaseError("INVALID_USE", {
        message: "A savepoint is open: use the `sql` that its function gets, one at a time",
      }),
    );
    const depth = this.#depth + 1;
    const name = `s${depth}`;
    const scope = new TransactionScope(this.#sql, depth);
    await this.#sql.unsafe(`savepoint ${name}`);
    try {
      const result = await scope.run(work);
      await this.#sql.unsafe(`release savepoint ${name}`);
      return result;
    } catch (error) {
      // When even this fails, what is to be undone must not be committed with the rest.
      await this.#sql.unsafe(`rollback to savepoint ${name}; release savepoint ${name}`)
        .catch((failure) => void (this.#notUndone ??= failure));
      throw isAborted(error) ? scope.aborted() : error;
    }
  }
}

/** The error for a transaction that cannot be committed, as a savepoint of it could not be undone. */
function doomed(cause: unknown): DatabaseError {
  // With its connection it is gone anyway, and that is what its caller has to know.
  if (cause instanceof DatabaseError && cause.isOutage) return cause;
  return new DatabaseError("TRANSACTION_ABORTED", { cause });
}

/** Whether the server says that the transaction is aborted by an earlier error. */
function isAborted(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === "25P02";
}
