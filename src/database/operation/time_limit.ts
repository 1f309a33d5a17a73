import type { Connection } from "../connection/connection.ts";
import { abortReason, DatabaseError } from "../errors.ts";
import { type Clock, Deadline } from "../../time.ts";

/** Time for a statement to end after its deadline, before its connection is destroyed. */
export const GRACE_MS = 1000;

/**
 * Acquires a connection, calls `use` with it, and releases it when `use` has settled. The signal
 * ends only the wait for the connection; after that, `use` must observe it.
 */
export type Lend = <T>(
  use: (connection: Connection) => Promise<T>,
  signal: AbortSignal | undefined,
) => Promise<T>;

/** Time limit and abort signal of an operation. */
export interface TimeLimitOptions {
  /** Ends the wait for a connection, or cancels the running statement on the server. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Timeout of the whole operation in milliseconds, including the wait for a connection and
   * repetitions. Default: unlimited.
   */
  readonly timeoutMs?: number | undefined;
}

/** The deadline of one operation, which may acquire several connections in sequence. */
export class TimeLimit implements Disposable {
  /** Aborts with the error to throw; undefined if the operation is unlimited. */
  readonly signal: AbortSignal | undefined;
  readonly #deadline: Deadline | undefined;
  #hasBegun = false;

  constructor({ signal, timeoutMs }: TimeLimitOptions, clock: Clock) {
    this.#deadline = timeoutMs === undefined ? undefined : new Deadline({
      timeoutMs,
      signal,
      clock,
      onTimeout: () => this.#timeout(timeoutMs),
    });
    this.signal = this.#deadline?.signal ?? signal;
  }

  /**
   * Calls `lend` with the signal of the deadline.
   *
   * @throws The errors of `lend` and `use`, or the reason of the signal.
   */
  async lend<T>(lend: Lend, use: (connection: Connection) => Promise<T>): Promise<T> {
    if (this.signal?.aborted) throw abortReason(this.signal);
    return await lend((connection) => {
      this.#hasBegun = true;
      return use(connection);
    }, this.signal);
  }

  [Symbol.dispose](): void {
    this.#deadline?.[Symbol.dispose]();
  }

  #timeout(timeoutMs: number): DatabaseError {
    return this.#hasBegun
      ? new DatabaseError("STATEMENT_TIMEOUT", {
        message: `The operation did not complete within ${timeoutMs} ms`,
      })
      : new DatabaseError("ACQUIRE_TIMEOUT", {
        message: `No database connection within ${timeoutMs} ms, the timeout of the operation`,
      });
  }
}
