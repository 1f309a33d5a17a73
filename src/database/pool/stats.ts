/** Why the pool closed a resource. */
export type CloseReason =
  /** It broke, closed by itself or failed its check. */
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
 * `inUse + idle + connecting === open`, and `open + closing <= max`.
 *
 * What is closing counts against the limit because the server has it until the goodbye has
 * arrived: opening its successor earlier would show the server one session too many.
 */
export interface PoolStats {
  readonly max: number;
  /** In use, idle and connecting together. */
  readonly open: number;
  /** Lent to a caller, or being checked for one. */
  readonly inUse: number;
  readonly idle: number;
  readonly connecting: number;
  /** Being closed politely; they still take a place each. */
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
  readonly acquireTimeoutCount: number;
  /** Acquires that were turned away because too many waited already. */
  readonly rejectedCount: number;
  readonly openedCount: number;
  readonly openFailedCount: number;
  readonly closedCount: Readonly<Record<CloseReason, number>>;
}

/** The part of {@linkcode PoolStats} that is true only now. */
export type PoolState = Pick<
  PoolStats,
  "max" | "inUse" | "idle" | "connecting" | "closing" | "waiting"
>;

/** The counters behind {@linkcode PoolStats}. */
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
