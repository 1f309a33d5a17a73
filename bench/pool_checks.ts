import { setTimeout as delay } from "node:timers/promises";
import { DatabaseManager } from "../src/database/mod.ts";
import { PostgreSQLChecker } from "../src/health/mod.ts";
import type { TestPostgres } from "../tests/support/postgres.ts";
import { bareDriver } from "./pool_contenders.ts";
import { quantile } from "./statistics.ts";

const MAX_CONNECTIONS = 25;
/** Warm-up, to compile everything and open connections. */
const WARM_UP = 50;
/** Maximum time between two samples, so that they are not synchronized with the other callers. */
const PAUSE_MS = 2;

/**
 * Measures the time of a health check and of an acquire while `callers` others run statements on
 * the same pool, compared with a statement of the bare driver, which waits for nothing but the
 * machine. They take turns, so that noise affects all of them.
 */
export async function checksUnderLoad(
  server: TestPostgres,
  { callers, samples }: { readonly callers: number; readonly samples: number },
): Promise<Record<string, string | number>[]> {
  await using bare = await bareDriver(server, 1);
  await using database = new DatabaseManager(
    server.config({ maxConnections: MAX_CONNECTIONS, maxIdleConnections: MAX_CONNECTIONS }),
  );
  database.start();
  await database.ping();
  const checker = new PostgreSQLChecker({ database });
  const { signal } = new AbortController();
  const measured: Readonly<Record<string, () => Promise<number>>> = {
    "select 1, bare driver": () => timed(() => bare.run.plain(0)),
    "acquire": () => untilLent(database),
    "ping": () => timed(() => database.ping()),
    "health check": () => timed(() => checker.check(signal)),
  };

  let isLoaded = true;
  const load = Promise.all(Array.from({ length: callers }, async () => {
    while (isLoaded) await database.query`select 1`;
  }));
  const took = new Map(Object.keys(measured).map((name) => [name, [] as number[]]));
  for (let sample = -WARM_UP; sample < samples; sample++) {
    for (const [name, measure] of Object.entries(measured)) {
      await delay(Math.random() * PAUSE_MS);
      const ms = await measure();
      if (sample >= 0) took.get(name)!.push(ms);
    }
  }
  isLoaded = false;
  await load;

  const [theirs] = took.values();
  return [...took].map(([what, ours]) => ({
    what,
    callers,
    ...columns("P50", 0.5, ours, theirs!),
    ...columns("P99", 0.99, ours, theirs!),
    "most ms": Number(quantile(ours, 1).toFixed(2)),
  }));
}

function columns(name: string, part: number, ours: readonly number[], theirs: readonly number[]) {
  const ms = quantile(ours, part);
  const ratio = ms / quantile(theirs, part);
  return { [`${name} ms`]: Number(ms.toFixed(2)), [`${name} ratio`]: Number(ratio.toFixed(2)) };
}

async function timed(run: () => PromiseLike<unknown>): Promise<number> {
  const startedAt = performance.now();
  await run();
  return performance.now() - startedAt;
}

/** Milliseconds from the call until it has acquired a connection. */
function untilLent(database: DatabaseManager): Promise<number> {
  const startedAt = performance.now();
  return database.withConnection(() => Promise.resolve(performance.now() - startedAt));
}
