import assert from "node:assert/strict";
import type { DatabaseManager, PoolName, PoolStats } from "../../../src/database/mod.ts";

const INTERVAL_MS = 2;

/** The numbers of one of the pools. */
interface NamedStats extends PoolStats {
  readonly name: PoolName;
}

/** Looks at the numbers of every pool again and again, and keeps those that cannot be. */
export class PoolWatch implements Disposable {
  readonly violations: NamedStats[] = [];
  readonly #database: DatabaseManager;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(database: DatabaseManager) {
    this.#database = database;
    this.#timer = setInterval(() => this.look(), INTERVAL_MS);
  }

  look(): void {
    this.violations.push(...statsOf(this.#database).filter((stats) => !isPossible(stats)));
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

/**
 * Counts the connections of all pools, which must be at rest: nothing happens in them, and every
 * connection that they have opened is accounted for.
 */
export function countAtRest(database: DatabaseManager): number {
  const pools = statsOf(database);
  for (const stats of pools) assert.ok(isAtRest(stats), JSON.stringify(stats));
  return pools.reduce((sum, { open }) => sum + open, 0);
}

function statsOf({ pools }: DatabaseManager): NamedStats[] {
  return Array.from(pools, ([name, view]) => ({ name, ...view.stats() }));
}

function isAtRest(stats: PoolStats): boolean {
  const { open, idle, closing, waiting, openedCount, closedCount } = stats;
  const closed = Object.values(closedCount).reduce((sum, count) => sum + count, 0);
  return open === idle && closing === 0 && waiting === 0 && openedCount === idle + closed;
}
