import { DatabaseError } from "../errors.ts";
import type { PoolStats } from "../pool/mod.ts";
import type { PoolContext } from "./context.ts";
import { MAX_TIMER_MS, type TimerHandle } from "../../time.ts";

/**
 * How long no caller must have been rejected before the pool counts as relieved, in milliseconds. A
 * pool at its limit rejects callers in bursts.
 */
const CALM_MS = 5_000;

/** What a {@linkcode PoolWatch} looks at, and whom it tells. */
export interface WatchedPool {
  /** The pool's numbers at this moment. */
  readonly stats: () => Pick<PoolStats, "acquireCount" | "inUse" | "max" | "waiting">;
  /** Called each time that connections were in use and none was released for `DB_PING_TIMEOUT`. */
  readonly onStuck: () => void;
}

/** Since when callers are rejected because every connection is in use. */
interface Exhaustion {
  readonly since: number;
  lastRejection: number;
  rejected: number;
}

/**
 * Notices what one caller cannot: that no connection comes back any more (stuck), and that callers
 * are rejected because every connection is in use (exhausted).
 *
 * On a frozen server, statements without a time limit would hang unnoticed until somebody pings it.
 * One timer runs while a connection is in use, so an acquire and a release cost a look at a field.
 */
export class PoolWatch {
  readonly #context: Pick<PoolContext, "name" | "config" | "logger" | "clock">;
  readonly #pool: WatchedPool;
  #timer: TimerHandle | undefined;
  #releaseCount = 0;
  #exhaustion: Exhaustion | undefined;

  /** Starts no timer until a connection is acquired. */
  constructor(
    context: Pick<PoolContext, "name" | "config" | "logger" | "clock">,
    pool: WatchedPool,
  ) {
    this.#context = context;
    this.#pool = pool;
  }

  /** A caller got a connection. */
  acquired(): void {
    if (this.#timer === undefined) this.#wait();
  }

  /** A caller got no connection. */
  rejected(error: unknown): void {
    if (!(error instanceof DatabaseError)) return;
    const { code } = error;
    const { max, inUse, waiting } = this.#pool.stats();
    // With free places it is that openings take too long.
    if ((code !== "ACQUIRE_TIMEOUT" && code !== "QUEUE_FULL") || inUse < max) return;
    const { name, logger, clock } = this.#context;
    const now = clock.now();
    if (this.#exhaustion !== undefined) {
      this.#exhaustion.lastRejection = now;
      this.#exhaustion.rejected++;
      return;
    }
    this.#exhaustion = { since: now, lastRejection: now, rejected: 1 };
    logger.warn(
      { event: "database.pool_exhausted", pool: name, code, max, waiting },
      "Every database connection is in use, and callers are rejected (DB_MAX_CONNECTIONS)",
    );
  }

  /** A caller released its connection. */
  released(): void {
    if (this.#exhaustion !== undefined) this.#checkRelieved(this.#exhaustion);
  }

  /** Stops the timer, until the next acquire. */
  stop(): void {
    this.#context.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #wait(): void {
    const { config: { pingTimeoutMs }, clock } = this.#context;
    const { acquireCount, inUse } = this.#pool.stats();
    this.#releaseCount = acquireCount - inUse;
    this.#timer = clock.setTimeout(() => this.#check(), Math.min(pingTimeoutMs, MAX_TIMER_MS));
  }

  #check(): void {
    this.#timer = undefined;
    const releaseCount = this.#releaseCount;
    if (this.#pool.stats().inUse === 0) return;
    // First, because `onStuck` may acquire a connection at once.
    this.#wait();
    if (this.#releaseCount === releaseCount) this.#pool.onStuck();
  }

  #checkRelieved({ since, lastRejection, rejected }: Exhaustion): void {
    const { name, logger, clock } = this.#context;
    const { max, inUse, waiting } = this.#pool.stats();
    const now = clock.now();
    if (waiting > 0 || inUse === max || now - lastRejection < CALM_MS) return;
    this.#exhaustion = undefined;
    logger.info(
      {
        event: "database.pool_relieved",
        pool: name,
        refused: rejected,
        exhausted_ms: Math.round(now - since),
      },
      "Database connections are free again",
    );
  }
}
