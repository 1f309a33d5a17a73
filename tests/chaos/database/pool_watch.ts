import type { DatabaseManager, PoolStats } from "../../../src/database/mod.ts";

const INTERVAL_MS = 2;

/** Looks at a pool's numbers again and again, and keeps those that cannot be. */
export class PoolWatch implements Disposable {
  readonly violations: PoolStats[] = [];
  readonly #database: DatabaseManager;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(database: DatabaseManager) {
    this.#database = database;
    this.#timer = setInterval(() => this.look(), INTERVAL_MS);
  }

  look(): void {
    const stats = this.#database.poolStats();
    if (!isPossible(stats)) this.violations.push(stats);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function isPossible(stats: PoolStats): boolean {
  const { max, open, inUse, idle, connecting, closing, waiting } = stats;
  return inUse + idle + connecting === open && open + closing <= max &&
    [open, inUse, idle, connecting, closing, waiting].every((count) => count >= 0);
}

/** Whether nothing happens in the pool, and every connection that it has opened is accounted for. */
export function isAtRest(stats: PoolStats): boolean {
  const { open, idle, closing, waiting, openedCount, closedCount } = stats;
  const closed = Object.values(closedCount).reduce((sum, count) => sum + count, 0);
  return open === idle && closing === 0 && waiting === 0 && openedCount === idle + closed;
}
