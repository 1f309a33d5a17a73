import type { Clock } from "./clock.ts";
import type { Connection } from "./connection/connection.ts";
import type { StatementObserver } from "./connection/driver.ts";

/** Which call of the manager an operation is; `connection` is `withConnection`. */
export type OperationName = "query" | "connection" | "transaction" | "ping";

/** `read` is the pool of the read hosts. */
export type PoolName = "primary" | "read";

/**
 * Hears of what the database layer does, for metrics and traces. Hooks are on the way of every
 * call: they must be fast and must not throw. Without an observer nothing is measured at all.
 */
export interface DatabaseObserver {
  /**
   * Makes an operation with `run`, and passes on what that gives or throws. What `run` does is done
   * inside of the hook, so it can set an asynchronous context, such as that of a span.
   */
  readonly operation: <T>(name: OperationName, run: () => Promise<T>) => Promise<T>;
  /** Gives the observer of one pool; asked once for each, when the manager is made. */
  readonly pool: (name: PoolName) => PoolObserver;
}

/**
 * Hears what a pool does, when it is done, in the asynchronous context of the caller for whom it
 * was done. Durations are in milliseconds.
 */
export interface PoolObserver {
  /** A caller got a connection. */
  readonly acquired: (waitedMs: number) => void;
  /** A caller waited in vain. */
  readonly acquireFailed: (waitedMs: number, error: unknown) => void;
  /** A caller gave its connection back. */
  readonly released: (usedMs: number) => void;
  /** A connection was opened. The context means nothing: the next caller in line gets it. */
  readonly opened: (tookMs: number) => void;
  /** A connection could not be opened. */
  readonly openFailed: (tookMs: number, error: unknown) => void;
  /**
   * A server has shown the certificate of its TLS, and is trusted as far as `sslmode` asks for. The
   * session may still be refused.
   */
  readonly certificateSeen?: ((expiresAt: Date) => void) | undefined;
  /** A statement is sent. */
  readonly sending?: StatementObserver | undefined;
}

/** Tells the observer of one acquire and release by `lend`. */
export async function observeLending<T>(
  observer: PoolObserver,
  clock: Clock,
  use: (connection: Connection) => Promise<T>,
  lend: (use: (connection: Connection) => Promise<T>) => Promise<T>,
): Promise<T> {
  const startedAt = clock.now();
  let acquiredAt = undefined as number | undefined;
  try {
    return await lend((connection) => {
      acquiredAt = clock.now();
      observer.acquired(acquiredAt - startedAt);
      return use(connection);
    });
  } catch (error) {
    if (acquiredAt === undefined) observer.acquireFailed(clock.now() - startedAt, error);
    throw error;
  } finally {
    if (acquiredAt !== undefined) observer.released(clock.now() - acquiredAt);
  }
}

/** Tells the observer of one opening. */
export async function observeOpening<T>(
  observer: PoolObserver,
  clock: Clock,
  open: () => Promise<T>,
): Promise<T> {
  const startedAt = clock.now();
  try {
    const opened = await open();
    observer.opened(clock.now() - startedAt);
    return opened;
  } catch (error) {
    observer.openFailed(clock.now() - startedAt, error);
    throw error;
  }
}
