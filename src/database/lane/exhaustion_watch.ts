import type { Clock } from "../clock.ts";
import { DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { PoolName } from "../observer.ts";
import type { PoolStats } from "../pool/mod.ts";

/** What callers get that are turned away. */
const REFUSALS: ReadonlySet<DatabaseErrorCode> = new Set(["ACQUIRE_TIMEOUT", "QUEUE_FULL"]);

/**
 * How long nobody must have been turned away before the pool counts as relieved, in milliseconds. A
 * pool at its limit turns callers away in bursts.
 */
const CALM_MS = 5_000;

/** What an {@linkcode ExhaustionWatch} needs. */
export interface ExhaustionWatchOptions {
  readonly pool: PoolName;
  readonly stats: () => Pick<PoolStats, "max" | "inUse" | "waiting">;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** Logs when callers are turned away because every connection is in use, and when that is over. */
export class ExhaustionWatch {
  readonly #options: ExhaustionWatchOptions;
  #exhaustion: { readonly since: number; lastRefusal: number; refused: number } | undefined;

  constructor(options: ExhaustionWatchOptions) {
    this.#options = options;
  }

  /** A caller got no connection, for this reason. */
  refused(reason: unknown): void {
    if (!(reason instanceof DatabaseError) || !REFUSALS.has(reason.code)) return;
    const { pool, stats, logger, clock } = this.#options;
    const { max, inUse, waiting } = stats();
    // Openings that take too long are no exhaustion.
    if (inUse < max) return;
    const now = clock.now();
    if (this.#exhaustion !== undefined) {
      this.#exhaustion.lastRefusal = now;
      this.#exhaustion.refused++;
      return;
    }
    this.#exhaustion = { since: now, lastRefusal: now, refused: 1 };
    logger.warn(
      { event: "database.pool_exhausted", pool, code: reason.code, max, waiting },
      "Every database connection is in use and callers are turned away (DB_MAX_CONNECTIONS)",
    );
  }

  /** A caller gave its connection back. */
  released(): void {
    if (this.#exhaustion === undefined) return;
    const { pool, stats, logger, clock } = this.#options;
    const { since, lastRefusal, refused } = this.#exhaustion;
    const { max, inUse, waiting } = stats();
    if (waiting > 0 || inUse === max || clock.now() - lastRefusal < CALM_MS) return;
    this.#exhaustion = undefined;
    logger.info(
      {
        event: "database.pool_relieved",
        pool,
        refused,
        exhausted_ms: Math.round(clock.now() - since),
      },
      "Database connections are free again",
    );
  }
}
