/**
 * Gives a database manager under load one fault after the other for a long time, and measures what
 * it keeps: memory after garbage collections, connections, and the ledger of its transfers.
 *
 * `deno task bench:soak [--minutes 60]`
 *
 * @module
 */
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import type { DatabaseManager } from "../src/database/mod.ts";
import { transfer } from "../tests/chaos/database/database_under_load.ts";
import { isAtRest, PoolWatch } from "../tests/chaos/database/pool_watch.ts";
import { ReadLoad } from "../tests/chaos/database/read_load.ts";
import { eventually } from "../tests/support/condition.ts";
import { startManager, untilState, watchUnhandled } from "../tests/support/database_support.ts";
import { FaultProxy } from "../tests/support/fault_proxy.ts";
import {
  assertLedger,
  createLedger,
  LedgerWorkload,
  type Outcome,
} from "../tests/support/ledger.ts";
import { startPostgres } from "../tests/support/postgres.ts";
import { type Fault, FAULTS, type Scene } from "./soak_faults.ts";
import { slope } from "./statistics.ts";

/** Short, so that an outage is noticed and over soon. */
const PATIENCE_MS = 1_500;
/** More than connections, so that some callers wait in the queue whatever happens. */
const CALLERS = 8;
const MAX_CONNECTIONS = 8;
const MIB = 2 ** 20;

const { values } = parseArgs({ options: { minutes: { type: "string", default: "60" } } });
const endsAt = performance.now() + Number(values.minutes) * 60_000;

/** Memory of this process at a moment at which nothing is under way. */
interface Sample {
  readonly minutes: number;
  readonly heapMiB: number;
  readonly rssMiB: number;
}

function sample(): Sample {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("Run it with --v8-flags=--expose-gc, as the task does");
  // What finalizers release is gone only after a second one.
  for (let time = 0; time < 2; time++) gc();
  const { heapUsed, rss } = Deno.memoryUsage();
  return {
    minutes: performance.now() / 60_000,
    heapMiB: heapUsed / MIB,
    rssMiB: rss / MIB,
  };
}

/** One fault under load, from a database at rest to a database at rest; counts the transfers. */
async function suffer(
  fault: Fault,
  cycle: number,
  { database, ...scene }: Scene & { readonly database: DatabaseManager },
): Promise<Readonly<Record<Outcome, number>>> {
  // An unknown transfer can arrive late, in the next cycle: the ids tell them apart.
  const idOf = (id: string) => `${cycle}-${id}`;
  await using transfers = new LedgerWorkload({
    workers: CALLERS,
    transfer: (id) => transfer(database, idOf(id), PATIENCE_MS),
  });
  const reads = new ReadLoad(database, { readers: CALLERS / 2, timeoutMs: PATIENCE_MS });
  await transfers.more("committed", 100);
  await fault.begin(scene);
  if (fault.end !== undefined) await transfers.more("failed", 50);
  await fault.end?.(scene);
  await untilState(database, "connected");
  await transfers.more("committed", 100);

  const outcomes = await transfers.stop();
  await reads.stop();
  await eventually(async () => {
    const stats = database.poolStats();
    assert.ok(isAtRest(stats), JSON.stringify(stats));
    assert.equal(await scene.server.sessions(), stats.open);
    return true;
  }, { what: "the server has as many sessions as the pool" });
  await assertLedger(scene.server, new Map([...outcomes].map(([id, end]) => [idOf(id), end])));
  await scene.server.admin("truncate ledger");
  return transfers.counts;
}

await using server = await startPostgres({ settings: { synchronous_commit: "on" } });
await using proxy = await FaultProxy.start(server.database);
await createLedger(server);
using unhandled = watchUnhandled();
await using manager = startManager(server, {
  hosts: [proxy.address],
  maxConnections: MAX_CONNECTIONS,
  connectTimeoutMs: PATIENCE_MS,
  pingTimeoutMs: PATIENCE_MS,
  acquireTimeoutMs: PATIENCE_MS,
}, { logger: { info() {}, warn() {}, error() {} } });
const { database } = manager;
using watch = new PoolWatch(database);

const samples: Sample[] = [];
const totals = { committed: 0, failed: 0, unknown: 0 };
let cycles = 0;
do {
  for (const fault of FAULTS) {
    const counts = await suffer(fault, ++cycles, { server, proxy, database });
    for (const outcome of ["committed", "failed", "unknown"] as const) {
      totals[outcome] += counts[outcome];
    }
  }
  const latest = sample();
  samples.push(latest);
  const { minutes, heapMiB, rssMiB } = latest;
  console.log(
    `${minutes.toFixed(1)} min, ${cycles} faults: heap ${heapMiB.toFixed(2)} MiB, ` +
      `RSS ${rssMiB.toFixed(1)} MiB, ${totals.committed} transfers committed`,
  );
} while (performance.now() < endsAt);

await database.close();
await eventually(async () => await server.sessions() === 0, { what: "no session is left" });

// The first ones compile and fill caches.
const steady = samples.slice(Math.ceil(samples.length / 4));
const growth = (of: "heapMiB" | "rssMiB") =>
  `${
    (slope(steady.map((one) => ({ x: one.minutes, y: one[of] }))) * 1024).toFixed(1)
  } KiB a minute`;
const { openedCount, closedCount } = database.poolStats();
const closed = Object.values(closedCount).reduce((sum, count) => sum + count, 0);
console.table({
  faults: cycles,
  ...totals,
  "ledger": "right after every fault",
  "connections opened": openedCount,
  "connections leaked": openedCount - closed,
  "impossible statistics": watch.violations.length,
  "unhandled rejections": unhandled.reasons.length,
  "heap grows by": growth("heapMiB"),
  "RSS grows by": growth("rssMiB"),
});
