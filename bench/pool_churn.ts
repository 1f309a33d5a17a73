import { setTimeout as delay } from "node:timers/promises";
import { DatabaseManager } from "../src/database/mod.ts";
import type { TestPostgres } from "../tests/support/postgres.ts";

const CALLERS = 25;
/** Longest time that a caller has other things to do. */
const PAUSE_MS = 10;

/**
 * How many of 1000 statements open a connection, because the one that they could have had was
 * closed as soon as `maxIdle` others were idle. Callers come and go in bursts.
 */
export async function opensPerThousand(
  server: TestPostgres,
  { maxIdle, seconds }: { readonly maxIdle: number; readonly seconds: number },
): Promise<number> {
  const database = new DatabaseManager(server.config({ maxIdleConnections: maxIdle }));
  database.start();
  await database.ping();
  const endsAt = performance.now() + seconds * 1000;
  let statements = 0;
  await Promise.all(Array.from({ length: CALLERS }, async () => {
    while (performance.now() < endsAt) {
      await database.query`select 1`;
      statements++;
      await delay(Math.random() * PAUSE_MS);
    }
  }));
  const { openedCount } = database.poolStats();
  await database.close();
  return openedCount / statements * 1000;
}
