import type { Sql } from "../connection/driver.ts";
import { intercept } from "../connection/intercept.ts";
import { refusalBeside, waitsForUser } from "../connection/open_statement.ts";
import type { Statement } from "../connection/statement.ts";
import { abortable, Deadline } from "../deadline.ts";
import { abortReason, DatabaseError } from "../errors.ts";
import { isUnknown } from "./outcome.ts";
import { GRACE_MS } from "./time_limit.ts";

/** Settings of a {@linkcode Gate}. */
export interface GateOptions {
  /** Gives the error that a statement fails with for what the driver threw. */
  readonly explain?: ((error: unknown) => unknown) | undefined;
  /** Closes the gate as soon as it aborts. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * The `sql` of one borrower of a connection. It knows whether something runs,
 * and once closed it lets nothing through any more, so that a borrower who keeps
 * it too long cannot reach into the connection's next use.
 *
 * Gates can be put before each other: a transaction's before the connection's.
 */
export class Gate {
  readonly sql: Sql;
  readonly #signal: AbortSignal | undefined;
  #refusal: DatabaseError | undefined;
  #pause: DatabaseError | undefined;
  #running = 0;
  /** Sent last, while something runs. Nothing is sent after one that waits for its user. */
  #last: Statement | undefined;
  #idle = Promise.withResolvers<void>();
  #failure: unknown;
  #lastFailure: unknown;
  #unheard: unknown;
  #mayHaveDone = false;

  constructor(sql: Sql, { explain = (error) => error, signal }: GateOptions = {}) {
    this.#signal = signal;
    this.sql = intercept(sql, {
      onSend: (statement) => {
        const refusal = this.refusal ?? (this.#last && refusalBeside(this.#last));
        if (refusal !== undefined) return refusal;
        this.#running++;
        this.#last = statement;
        return undefined;
      },
      onFailed: (error) => {
        const explained = explain(error);
        this.#failure ??= explained;
        this.#lastFailure = explained;
        if (isUnknown(explained)) this.#mayHaveDone = true;
        return explained;
      },
      onEnded: ({ failure, copy }) => {
        if (failure === undefined) this.#mayHaveDone = true;
        else if (copy?.isUnheard) this.#unheard ??= failure;
        if (--this.#running > 0) return;
        this.#last = undefined;
        this.#idle.resolve();
        this.#idle = Promise.withResolvers();
      },
    });
  }

  /** What statements fail with at the moment; undefined while they may run. */
  get refusal(): DatabaseError | undefined {
    if (this.#signal?.aborted) return abortReason(this.#signal);
    return this.#refusal ?? this.#pause;
  }

  /** Whether a statement was sent that has not ended. */
  get isBusy(): boolean {
    return this.#running > 0;
  }

  /** The error of the first statement that failed. */
  get failure(): unknown {
    return this.#failure;
  }

  /** The error of the statement that failed last. */
  get lastFailure(): unknown {
    return this.#lastFailure;
  }

  /** Whether a statement has succeeded, or may have although its answer got lost. */
  get mayHaveDone(): boolean {
    return this.#mayHaveDone;
  }

  /** Resolves when no statement runs. Never rejects. */
  async untilIdle(): Promise<void> {
    while (this.isBusy) await this.#idle.promise;
  }

  /**
   * Resolves when no statement runs and nothing went wrong that only this can tell.
   *
   * @throws {DatabaseError} `INVALID_USE` when one waits for its user, who has had a second for it;
   * what a COPY has failed with while nobody listened to its stream.
   */
  async untilDone(): Promise<void> {
    while (this.isBusy) {
      using patience = new Deadline({ timeoutMs: GRACE_MS, onTimeout: leftOpen });
      await abortable(this.#idle.promise, patience.signal).catch((error) => {
        if (this.#last !== undefined && waitsForUser(this.#last)) throw error;
      });
    }
    if (this.#unheard !== undefined) throw this.#unheard;
  }

  /** From now on statements fail with `refusal`; what runs goes on. */
  close(refusal: DatabaseError): void {
    this.#refusal ??= refusal;
  }

  /** As {@linkcode Gate.close}, until the result is disposed. */
  pause(refusal: DatabaseError): Disposable {
    this.#pause = refusal;
    return { [Symbol.dispose]: () => void (this.#pause = undefined) };
  }
}

function leftOpen(): DatabaseError {
  return new DatabaseError("INVALID_USE", {
    message: "A cursor or a COPY was left open: end it before the function settles",
  });
}
