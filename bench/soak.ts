/**
 * Runs a database manager under load through one fault after the other for a long time, and
 * verifies memory after garbage collections, connections, and the ledger of its transfers.
 *
 * `deno task bench:soak [--minutes 60] [--max-growth 100]`
 *
 * Fails if a connection leaks, if the ledger is wrong, or if the heap grows by more than
 * `--max-growth`, in KiB per fault; by default any growth is only printed.
 *
 * @module
 */
import assert from "node:assert/strict";
import { parseArgs } from "node:util";
import type { DatabaseManager } from "../src/database/mod.ts";
import { transfer } from "../tests/chaos/database/database_under_load.ts";
import { countAtRest, PoolWatch } from "../tests/chaos/database/pool_watch.ts";
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

/** Short, so that an outage is detected and over soon. */
const PATIENCE_MS = 1_500;
/** More than connections, so that some callers always wait in the queue. */
const CALLERS = 8;
const MAX_CONNECTIONS = 8;
const MIB = 2 ** 20;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    "max-growth": { type: "string", default: "Infinity" },
  },
});
const endsAt = performance.now() + Number(values.minutes) * 60_000;

/** Memory of this process at a moment without operations in progress. */
interface Sample {
  readonly minutes: number;
  readonly faults: number;
  readonly heapMiB: number;
  readonly rssMiB: number;
}

function sample(faults: number): Sample {
  const { gc } = globalThis as { gc?: () => void };
  if (gc === undefined) throw new Error("Run it with --v8-flags=--expose-gc, as the task does");
  // Memory that finalizers release is freed only by a second collection.
  for (let time = 0; time < 2; time++) gc();
  const { heapUsed, rss } = Deno.memoryUsage();
  return {
    minutes: performance.now() / 60_000,
    faults,
    heapMiB: heapUsed / MIB,
    rssMiB: rss / MIB,
  };
}

/** Runs one fault under load, between two states at rest; counts the transfers. */
async function suffer(
  fault: Fault,
  cycle: number,
  { database, ...scene }: Scene & { readonly database: DatabaseManager },
): Promise<Readonly<Record<Outcome, number>>> {
  // An unknown transfer can commit late, in the next cycle: the ids distinguish them.
  const idOf = (id: string) => `${cycle}-${id}`;
  await using transfers = new LedgerWorkload({
    workers: CALLERS,
    transfer: (id) => transfer(database, idOf(id), PATIENCE_MS),
  });
  await using reads = new ReadLoad(database, { readers: CALLERS / 2, timeoutMs: PATIENCE_MS });
  await transfers.more("committed", 100);
  await fault.begin(scene);
  if (fault.end !== undefined) await transfers.more("failed", 50);
  await fault.end?.(scene);
  await untilState(database, "connected");
  await transfers.more("committed", 100);
  await reads.more(CALLERS);

  const outcomes = await transfers.stop();
  await reads.stop();
  await eventually(async () => {
    const open = countAtRest(database);
    assert.equal(await scene.server.sessions(), open);
    return true;
  }, { what: "the server has as many sessions as the pools" });
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
  const latest = sample(cycles);
  samples.push(latest);
  const { minutes, heapMiB, rssMiB } = latest;
  console.log(
    `${minutes.toFixed(1)} min, ${cycles} faults: heap ${heapMiB.toFixed(2)} MiB, ` +
      `RSS ${rssMiB.toFixed(1)} MiB, ${totals.committed} transfers committed`,
  );
} while (performance.now() < endsAt);

await database.close();
await eventually(async () => await server.sessions() === 0, { what: "no session is left" });

// The first samples include compilation and filling caches.
const steady = samples.slice(Math.ceil(samples.length / 4));
/** In KiB per minute or fault. */
const growth = (of: "heapMiB" | "rssMiB", by: "minutes" | "faults") =>
  slope(steady.map((one) => ({ x: one[by], y: one[of] }))) * 1024;
const describeGrowth = (of: "heapMiB" | "rssMiB") =>
  `${growth(of, "minutes").toFixed(1)} KiB a minute, ${growth(of, "faults").toFixed(1)} a fault`;
const { openedCount, closedCount } = database.poolStats();
const closed = Object.values(closedCount).reduce((sum, count) => sum + count, 0);
const leaked = openedCount - closed;
console.table({
  faults: cycles,
  ...totals,
  "ledger": "right after every fault",
  "connections opened": openedCount,
  "connections leaked": leaked,
  "impossible statistics": watch.violations.length,
  "unhandled rejections": unhandled.reasons.length,
  "heap grows by": describeGrowth("heapMiB"),
  "RSS grows by": describeGrowth("rssMiB"),
});
assert.equal(leaked, 0, "connections leaked");
assert.deepEqual(watch.violations.slice(0, 3), [], "numbers that cannot be");
assert.deepEqual(unhandled.reasons, []);
const heapGrowth = growth("heapMiB", "faults");
assert.ok(
  heapGrowth <= Number(values["max-growth"]),
  `the heap grows by ${heapGrowth} KiB a fault`,
);
