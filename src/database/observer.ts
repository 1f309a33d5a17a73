import type { Connection } from "./connection/connection.ts";
import type { StatementObserver } from "./connection/driver.ts";
import type { Clock } from "../time.ts";

/** The kind of an operation; `connection` is `withConnection`. */
export type OperationName = "query" | "connection" | "transaction" | "ping";

/** `read` is the pool of the read hosts (`DB_READ_HOSTS`). */
export type PoolName = "primary" | "read";

/**
 * Hooks for metrics and traces of the database layer. They run in every call, so they must be fast
 * and must not throw. Without an observer, nothing is measured.
 */
export interface DatabaseObserver {
  /**
   * Runs an operation by calling `run`, and passes on its result or error. What `run` does happens
   * inside the hook, which can set an asynchronous context for it, such as that of a span.
   */
  readonly operation: <T>(name: OperationName, run: () => Promise<T>) => Promise<T>;
  /** Returns the observer of a pool; called once for each pool, when the manager is created. */
  readonly pool: (name: PoolName) => PoolObserver;
}

/**
 * Hooks of a pool, called in the asynchronous context of the caller that they concern. Durations
 * are in milliseconds.
 */
export interface PoolObserver {
  /** A caller acquired a connection. */
  readonly acquired: (waitedMs: number) => void;
  /** A caller failed to acquire a connection. */
  readonly acquireFailed: (waitedMs: number, error: unknown) => void;
  /** A caller released its connection. */
  readonly released: (usedMs: number) => void;
  /**
   * A connection was opened. The context is arbitrary: the next waiting caller gets the connection.
   */
  readonly opened: (tookMs: number) => void;
  /** Opening a connection failed. */
  readonly openFailed: (tookMs: number, error: unknown) => void;
  /**
   * A server has presented its TLS certificate, which passes the checks of `sslmode`. The session
   * may still be refused.
   */
  readonly certificateSeen?: ((expiresAt: Date) => void) | undefined;
  /** A statement is being sent. */
  readonly sending?: StatementObserver | undefined;
}

/** Reports an acquire and release by `lend` to the observer. */
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

/** Reports the opening of a connection by `open` to the observer. */
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
