import {
  createSql,
  type Rows,
  type Sql,
  type Statement,
  type StatementText,
} from "../connection/sql.ts";
import { abortReason, DatabaseError } from "../errors.ts";

/**
 * Where a scope's statements go: its connection, which asks for a refusal when a statement's turn
 * has come, or the scope around it, which refuses by itself.
 */
export interface StatementTarget {
  run(statement: StatementText, refusal?: () => DatabaseError | undefined): Promise<Rows<object>>;
  script(text: string, refusal?: () => DatabaseError | undefined): Promise<Rows<object>>;
  /** Whether a transaction is open; valid only while no statement runs. */
  readonly isInTransaction: boolean;
}

/** What limits a {@linkcode StatementScope}. */
export interface StatementScopeOptions {
  /** Refuses statements as soon as it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** What the user of the scope gets for an error of its target; default: the error itself. */
  readonly explain?: ((error: unknown) => unknown) | undefined;
}

/**
 * The statements of one borrower of a connection, and the `sql` that runs them. It knows what still
 * runs and what was forgotten, and once closed it refuses everything, so that a borrower who keeps
 * its `sql` cannot reach into the connection's next use.
 *
 * Scopes nest: a transaction's statements go through the scope of its connection.
 */
export class StatementScope implements StatementTarget {
  readonly sql: Sql;
  /** Names of the cursors that may be open, with those of the scope around it. */
  readonly #cursors: Set<string>;
  readonly #target: StatementTarget;
  readonly #options: StatementScopeOptions;
  /** Statements that were written and that nobody has waited for. */
  readonly #forgotten = new Set<Statement>();
  #closedBy: DatabaseError | undefined;
  #pausedBy: DatabaseError | undefined;
  #running = 0;
  #idle: PromiseWithResolvers<void> | undefined;
  #failure: unknown;
  #lastFailure: unknown;
  #mayHaveDone = false;

  constructor(target: StatementTarget, options: StatementScopeOptions = {}) {
    this.#target = target;
    this.#options = options;
    this.#cursors = target instanceof StatementScope ? target.#cursors : new Set();
    this.sql = createSql({
      run: (statement) => this.run(statement),
      onWritten: (statement) => void this.#forgotten.add(statement),
      onAwaited: (statement) => void this.#forgotten.delete(statement),
      isInTransaction: async () => {
        await this.untilIdle();
        return this.isInTransaction;
      },
      cursors: this.#cursors,
    });
  }

  /** Why statements are refused at the moment; undefined while they may run. */
  get refusal(): DatabaseError | undefined {
    const { signal } = this.#options;
    if (signal?.aborted) return abortReason(signal);
    return this.#closedBy ?? this.#pausedBy;
  }

  get isInTransaction(): boolean {
    return this.#target.isInTransaction;
  }

  /** The error of the first statement that failed. */
  get failure(): unknown {
    return this.#failure;
  }

  /** The error of the statement that failed last. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** Whether a statement has succeeded, or may have although its answer got lost; not of a stream. */
  get mayHaveDone(): boolean {
    return this.#mayHaveDone;
  }

  /** As `Connection.run`. */
  run(statement: StatementText): Promise<Rows<object>> {
    const send = () => this.#target.run(statement, () => this.refusal);
    return this.#track(send, statement.isUncommitted);
  }

  /** As `Connection.script`. */
  script(text: string): Promise<Rows<object>> {
    return this.#track(() => this.#target.script(text, () => this.refusal));
  }

  /** Resolves when no statement of this scope runs. Never rejects. */
  async untilIdle(): Promise<void> {
    while (this.#running > 0) await (this.#idle ??= Promise.withResolvers()).promise;
  }

  /**
   * Resolves when no statement runs and none was forgotten.
   *
   * @throws {DatabaseError} `INVALID_USE`, with the text of a statement that was written and that
   * nobody has waited for, so that it was never sent.
   */
  async untilDone(): Promise<void> {
    await this.untilIdle();
    const [statement] = this.#forgotten;
    if (statement === undefined) return;
    throw new DatabaseError("INVALID_USE", {
      message: `A statement was written and never waited for, so it was not sent: await it, or ` +
        `await Promise.all(…) of several: ${statement.outline}`,
    });
  }

  /** From now on statements fail with this error; what runs goes on. */
  close(error: DatabaseError): void {
    this.#closedBy ??= error;
  }

  /** As {@linkcode StatementScope.close}, until the result is disposed. */
  pause(error: DatabaseError): Disposable {
    this.#pausedBy = error;
    return { [Symbol.dispose]: () => void (this.#pausedBy = undefined) };
  }

  async #track(
    send: () => Promise<Rows<object>>,
    isUncommitted = false,
  ): Promise<Rows<object>> {
    const { refusal } = this;
    if (refusal !== undefined) throw refusal;
    this.#running++;
    try {
      const rows = await send();
      if (!isUncommitted) this.#mayHaveDone = true;
      return rows;
    } catch (error) {
      throw this.#failed(error, isUncommitted);
    } finally {
      if (--this.#running === 0) {
        this.#idle?.resolve();
        this.#idle = undefined;
      }
    }
  }

  #failed(error: unknown, isUncommitted: boolean): unknown {
    const { explain } = this.#options;
    const explained = explain === undefined || isUncommitted ? error : explain(error);
    this.#failure ??= explained;
    this.#lastFailure = explained;
    if (isUnknown(explained)) this.#mayHaveDone = true;
    return explained;
  }
}

/** Whether it is the error of what may or may not have been done. */
export function isUnknown(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === "COMMIT_UNKNOWN";
}
