import { setTimeout as delay } from "node:timers/promises";
import { DatabaseManager } from "../src/database/mod.ts";
import type { TestPostgres } from "../tests/support/postgres.ts";

const CALLERS = 25;
/** Maximum pause of a caller between statements. */
const PAUSE_MS = 10;

/**
 * Returns how many of 1000 statements open a connection, because an idle one was closed when more
 * than `maxIdle` were idle. Callers come in bursts.
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
