/** Why the pool closed a resource. */
export type CloseReason =
  /** It broke, closed by itself or failed its check. */
  | "error"
  /** It was idle for longer than the longest idle time. */
  | "idleTime"
  /** It was older than the longest lifetime. */
  | "lifetime"
  /** It was released while as many others were idle as are kept. */
  | "maxIdle"
  /** It was opened before the last reset. */
  | "reset"
  /** The pool closed. */
  | "shutdown";

/**
 * What a pool is doing and has done, at one moment. Always true:
 * `inUse + idle + connecting === open`, and `open + closing <= max`.
 *
 * What is closing counts against the limit because the other side has it until it has closed: to open
 * another one earlier would be one too many there.
 */
export interface PoolStats {
  /** The limit of {@linkcode PoolStats.open} and {@linkcode PoolStats.closing} together. */
  readonly max: number;
  /** In use, idle and connecting together. */
  readonly open: number;
  /** Acquired by a caller, or being checked for one. */
  readonly inUse: number;
  /** Open and not in use. */
  readonly idle: number;
  /** Being opened. */
  readonly connecting: number;
  /** Being closed gracefully; each still takes a place. */
  readonly closing: number;
  /** Callers in the queue: for a release, an opening or a check. */
  readonly waiting: number;
  /**
   * Acquires for which nothing could be opened or checked at once, so that they waited for others,
   * as in Go's `sql.DBStats`.
   */
  readonly waitCount: number;
  /** Time that those acquires have waited, in milliseconds. */
  readonly waitDurationMs: number;
  /** Acquires that got something. */
  readonly acquireCount: number;
  /** Acquires that ended because their time was over. */
  readonly acquireTimeoutCount: number;
  /** Acquires that were rejected because as many waited as may wait. */
  readonly rejectedCount: number;
  /** Openings that succeeded. */
  readonly openedCount: number;
  /** Openings that failed, except those that closing the pool ended. */
  readonly openFailedCount: number;
  /** What the pool has closed, by reason. */
  readonly closedCount: Readonly<Record<CloseReason, number>>;
}

/** The part of {@linkcode PoolStats} that is true only now. */
type PoolState = Pick<
  PoolStats,
  "max" | "inUse" | "idle" | "connecting" | "closing" | "waiting"
>;

/** The part of {@linkcode PoolStats} that only grows: plain numbers, so that counting costs nothing. */
export class PoolCounters {
  waitCount = 0;
  waitDurationMs = 0;
  acquireCount = 0;
  acquireTimeoutCount = 0;
  rejectedCount = 0;
  openedCount = 0;
  openFailedCount = 0;
  readonly closedCount: Record<CloseReason, number> = {
    error: 0,
    idleTime: 0,
    lifetime: 0,
    maxIdle: 0,
    reset: 0,
    shutdown: 0,
  };

  snapshot(state: PoolState): PoolStats {
    return Object.freeze({
      ...state,
      ...this,
      open: state.inUse + state.idle + state.connecting,
      closedCount: Object.freeze({ ...this.closedCount }),
    });
  }
}
