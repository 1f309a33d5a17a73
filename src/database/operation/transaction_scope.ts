import type { Sql } from "../connection/sql.ts";
import { DatabaseError } from "../errors.ts";
import { StatementScope } from "./statement_scope.ts";

/** Runs the statements of a transaction, until its callback returns. */
export interface Transaction extends Sql {
  /**
   * Runs `work` within a savepoint, so that its failure undoes only its own statements: if the
   * error is caught, the transaction continues. Until `work` has settled, only its own `tx` can be
   * used.
   *
   * @throws {DatabaseError} `TRANSACTION_ABORTED` if a statement has failed but `work` has not;
   * `INVALID_USE` if a statement of `work` was created but never awaited.
   */
  savepoint<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T>;
}

/** The statements between a begin or savepoint and its end. */
export class TransactionScope {
  readonly #whole: StatementScope;
  readonly #depth: number;
  readonly #scope: StatementScope;
  readonly #handle: Transaction;
  /** The open savepoint. */
  #savepoint: Promise<unknown> | undefined;
  /** Why the statements of a savepoint could not be undone. */
  #notUndone: unknown;

  /** @param whole The scope of the whole transaction, which runs the statements of this one. */
  constructor(whole: StatementScope, depth = 0) {
    this.#whole = whole;
    this.#depth = depth;
    this.#scope = new StatementScope(whole);
    this.#handle = Object.assign(this.#scope.sql, {
      savepoint: <T>(work: (tx: Transaction) => T | Promise<T>) => this.#runSavepoint(work),
    });
  }

  /** Calls `work` and waits for its statements. Later ones are refused. */
  async run<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T> {
    try {
      const result = await work(this.#handle);
      if (this.#notUndone !== undefined) throw doomed(this.#notUndone);
      await this.#scope.untilDone();
      if (this.#savepoint !== undefined) throw forgottenSavepoint();
      return result;
    } catch (error) {
      throw isAborted(error) ? this.aborted() : error;
    } finally {
      // One that is not awaited fails with the transaction, whose own error says why.
      this.#savepoint?.catch(() => {});
      this.#scope.close(
        new DatabaseError("INVALID_USE", {
          message:
            "This `tx` is no longer valid: its callback has returned. Run statements inside it",
        }),
      );
    }
  }

  /** The error for a scope in which a statement has failed but its function has not. */
  aborted(): DatabaseError {
    return new DatabaseError("TRANSACTION_ABORTED", { cause: this.#scope.failure });
  }

  #runSavepoint<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T> {
    const { blockedBy } = this.#scope;
    if (blockedBy !== undefined) return Promise.reject(blockedBy);
    const pause = this.#scope.pause(
      new DatabaseError("INVALID_USE", {
        message:
          "A savepoint is open: use the `tx` that its callback gets, one savepoint at a time",
      }),
    );
    const savepoint = this.#performSavepoint(work).finally(() => {
      pause[Symbol.dispose]();
      this.#savepoint = undefined;
    });
    this.#savepoint = savepoint;
    return savepoint;
  }

  async #performSavepoint<T>(work: (tx: Transaction) => T | Promise<T>): Promise<T> {
    const depth = this.#depth + 1;
    const name = `s${depth}`;
    const scope = new TransactionScope(this.#whole, depth);
    await this.#whole.script(`savepoint ${name}`);
    try {
      const result = await scope.run(work);
      await this.#whole.script(`release savepoint ${name}`);
      return result;
    } catch (error) {
      // If this fails, the transaction must not be committed, because the savepoint is not undone.
      await this.#whole.script(`rollback to savepoint ${name}; release savepoint ${name}`)
        .catch((failure) => void (this.#notUndone ??= failure));
      throw isAborted(error) ? scope.aborted() : error;
    }
  }
}

function forgottenSavepoint(): DatabaseError {
  return new DatabaseError("INVALID_USE", {
    message: "A savepoint was begun and not waited for: await it",
  });
}

/** The error for a transaction that cannot be committed, as a savepoint of it could not be undone. */
function doomed(cause: unknown): DatabaseError {
  // If the connection is lost, so is the transaction, and that is the error to report.
  if (cause instanceof DatabaseError && cause.isOutage) return cause;
  return new DatabaseError("TRANSACTION_ABORTED", { cause });
}

/** Whether the server reports that an earlier error has aborted the transaction. */
function isAborted(error: unknown): boolean {
  return error instanceof DatabaseError && error.sqlState === "25P02";
}
