/** Why the pool closed a resource. */
export type CloseReason =
  /** It broke, or closed by itself. */
  | "error"
  /** It was idle for longer than the longest idle time. */
  | "idleTime"
  /** It was older than the longest lifetime. */
  | "lifetime"
  /** It came back while enough others were idle. */
  | "maxIdle"
  /** It was opened before the last reset. */
  | "reset"
  /** The pool closed. */
  | "shutdown";

/**
 * What a pool is doing and has done, at one moment. Always true:
 * `inUse + idle + connecting === open` and `open + closing <= max`.
 */
export interface PoolStats {
  readonly max: number;
  /** In use, idle and connecting together. */
  readonly open: number;
  readonly inUse: number;
  readonly idle: number;
  readonly connecting: number;
  /** Being closed politely; they still take a place each. */
  readonly closing: number;
  /** Callers in the queue, for a release or for a connection that is being opened. */
  readonly waiting: number;
  /** Acquires that found the pool full and had to wait, as in Go's `sql.DBStats`. */
  readonly waitCount: number;
  /** Time that those acquires have waited, in milliseconds. */
  readonly waitDurationMs: number;
  /** Acquires that got something. */
  readonly acquireCount: number;
  readonly acquireTimeoutCount: number;
  readonly openedCount: number;
  readonly closedCount: Readonly<Record<CloseReason, number>>;
}

/** The counters behind {@linkcode PoolStats}. */
export class PoolCounters {
  waitCount = 0;
  waitDurationMs = 0;
  acquireCount = 0;
  acquireTimeoutCount = 0;
  openedCount = 0;
  readonly closedCount: Record<CloseReason, number> = {
    error: 0,
    idleTime: 0,
    lifetime: 0,
    maxIdle: 0,
    reset: 0,
    shutdown: 0,
  };

  snapshot(now: Pick<PoolStats, "max" | "inUse" | "idle" | "connecting" | "closing" | "waiting">) {
    const stats: PoolStats = {
      ...now,
      open: now.inUse + now.idle + now.connecting,
      waitCount: this.waitCount,
      waitDurationMs: this.waitDurationMs,
      acquireCount: this.acquireCount,
      acquireTimeoutCount: this.acquireTimeoutCount,
      openedCount: this.openedCount,
      closedCount: Object.freeze({ ...this.closedCount }),
    };
    return Object.freeze(stats);
  }
}
