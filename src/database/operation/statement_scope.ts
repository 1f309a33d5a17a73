import {
  createSql,
  type Rows,
  type Sql,
  type Statement,
  type StatementText,
} from "../connection/sql.ts";
import { abortReason, DatabaseError } from "../errors.ts";

/**
 * Where a scope sends its statements: the connection, which asks what blocks it before it sends a
 * statement, or the enclosing scope, which refuses by itself.
 */
export interface StatementTarget {
  run(statement: StatementText, blockedBy?: () => DatabaseError | undefined): Promise<Rows<object>>;
  script(text: string, blockedBy?: () => DatabaseError | undefined): Promise<Rows<object>>;
  /** Whether a transaction is open; valid only while no statement runs. */
  readonly isInTransaction: boolean;
}

/** Abort signal and error mapping of a {@linkcode StatementScope}. */
export interface StatementScopeOptions {
  /** Refuses statements as soon as it aborts. */
  readonly signal?: AbortSignal | undefined;
  /** Maps an error of the target to that of the statement. Default: unchanged. */
  readonly explain?: ((error: unknown) => unknown) | undefined;
}

/**
 * The statements of one user of a connection, and the `sql` that runs them. Tracks which statements
 * are running and which were never awaited. Once closed, it refuses all statements, so that a `sql`
 * that is kept cannot interfere with the next use of the connection.
 *
 * Scopes nest: the statements of a transaction go through the scope of its connection.
 */
export class StatementScope implements StatementTarget {
  readonly sql: Sql;
  /** Names of the cursors that may be open, with those of the scope around it. */
  readonly #cursors: Set<string>;
  readonly #target: StatementTarget;
  readonly #options: StatementScopeOptions;
  /** Statements that were created but not awaited yet. */
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

  /** Why statements are refused; undefined while they may run. */
  get blockedBy(): DatabaseError | undefined {
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
    const send = () => this.#target.run(statement, () => this.blockedBy);
    return this.#track(send, statement.isUncommitted);
  }

  /** As `Connection.script`. */
  script(text: string): Promise<Rows<object>> {
    return this.#track(() => this.#target.script(text, () => this.blockedBy));
  }

  /** Resolves when no statement of this scope is running. Never rejects. */
  async untilIdle(): Promise<void> {
    while (this.#running > 0) await (this.#idle ??= Promise.withResolvers()).promise;
  }

  /**
   * Resolves when no statement is running and all were awaited.
   *
   * @throws {DatabaseError} `INVALID_USE`, with the text of a statement that was created but never
   * awaited, so that it was never sent.
   */
  async untilDone(): Promise<void> {
    await this.untilIdle();
    const [statement] = this.#forgotten;
    if (statement === undefined) return;
    throw new DatabaseError("INVALID_USE", {
      message: `A statement was created but never awaited, so it was not sent: await it, or ` +
        `await Promise.all(…) of several: ${statement.outline}`,
    });
  }

  /** From now on statements fail with this error; running ones continue. */
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
    const { blockedBy } = this;
    if (blockedBy !== undefined) throw blockedBy;
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

/** Whether it is unknown if the statement with this error took effect. */
export function isUnknown(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === "COMMIT_UNKNOWN";
}
