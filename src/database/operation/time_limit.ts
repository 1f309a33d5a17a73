import type { Connection } from "../connection/connection.ts";
import { abortReason, DatabaseError } from "../errors.ts";
import { type Clock, Deadline } from "../../time.ts";

/** How long a statement may take to end after its limit, before its connection is destroyed. */
export const GRACE_MS = 1000;

/**
 * Acquires a connection, calls `use` with it, and releases it when `use` has settled. The signal
 * ends only the wait for the connection: from then on it is `use` that ends in time.
 */
export type Lend = <T>(
  use: (connection: Connection) => Promise<T>,
  signal: AbortSignal | undefined,
) => Promise<T>;

/** When an operation has to end. */
export interface TimeLimitOptions {
  /** Aborting it ends the wait for a connection, or cancels what runs on the server. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Milliseconds for the whole operation, with the wait for a connection and repetitions; unlimited
   * by default.
   */
  readonly timeoutMs?: number | undefined;
}

/** The deadline of one operation, which may borrow several connections in turn. */
export class TimeLimit implements Disposable {
  /** Aborts with the error to throw; undefined when nothing limits the operation. */
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

  /** @throws What `lend` and `use` throw, or the signal's reason. */
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
        message: `No database connection within ${timeoutMs} ms, the time for the whole operation`,
      });
  }
}
