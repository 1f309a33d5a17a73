/**
 * Measures the pool alone, and statements through the manager beside the bare driver and npm:pg's
 * Pool, on an embedded PostgreSQL. Contenders take turns within each round, because the machine's
 * other work comes and goes; compare the numbers of one run only.
 *
 * `deno run -A bench/pool.ts [--rounds 5] [--seconds 1]`
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { Pool, type PoolOptions, type Resource } from "../src/database/pool/mod.ts";
import { startPostgres, type TestPostgres } from "../tests/support/postgres.ts";
import { bareDriver, type Contender, manager, pgPool, type RunOne } from "./pool_contenders.ts";
import { median, quantile } from "./statistics.ts";

const CALLERS = [1, 25, 200];

/** Something to lend that costs nothing. */
function openNothing(): Promise<Resource> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const close = () => Promise.resolve(resolve());
  return Promise.resolve({ closed: false, whenClosed: promise, close, destroy: resolve });
}

function poolOfNothing(options: Partial<PoolOptions<Resource>> = {}): Pool<Resource> {
  return new Pool({
    open: openNothing,
    maxOpen: 25,
    maxIdle: 25,
    maxLifetimeMs: 3_600_000,
    maxIdleTimeMs: 900_000,
    acquireTimeoutMs: 60_000,
    checkAfterIdleMs: 30_000,
    check: () => Promise.resolve(),
    ...options,
  });
}

/** Microseconds of each acquire and release when nobody else uses the pool. */
async function uncontended(options: Partial<PoolOptions<Resource>>): Promise<number[]> {
  await using pool = poolOfNothing(options);
  const measure = async (times: number) => {
    const took: number[] = [];
    for (let time = 0; time < times; time++) {
      const startedAt = performance.now();
      pool.release(pool.tryAcquire() ?? await pool.acquire());
      took.push((performance.now() - startedAt) * 1000);
    }
    return took;
  };
  await measure(50_000);
  return await measure(200_000);
}

/** Microseconds for each of many callers that all wait, and are then served one after the other. */
async function drain(waiters: number): Promise<number> {
  await using pool = poolOfNothing();
  const held = await Promise.all(Array.from({ length: 25 }, () => pool.acquire()));
  const startedAt = performance.now();
  const waits = Array.from({ length: waiters }, async () => pool.release(await pool.acquire()));
  for (const resource of held) pool.release(resource);
  await Promise.all(waits);
  return (performance.now() - startedAt) * 1000 / waiters;
}

interface Sample {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** Time of this process on a processor for each statement; other processes do not disturb it. */
  readonly cpuUs: number;
}

/** Lets `callers` callers run one statement after the other for a while. */
async function load(run: RunOne, callers: number, seconds: number): Promise<Sample> {
  const took: number[] = [];
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  await Promise.all(Array.from({ length: callers }, async (_, caller) => {
    for (let now = performance.now(); now < endsAt;) {
      await run(caller);
      const then = now;
      now = performance.now();
      took.push(now - then);
    }
  }));
  const elapsedMs = performance.now() - startedAt;
  const { user, system } = process.cpuUsage(cpu);
  return {
    perSecond: took.length / elapsedMs * 1000,
    p99Ms: quantile(took, 0.99),
    cpuUs: (user + system) / took.length,
  };
}

async function compare(
  server: TestPostgres,
  { callers, rounds, seconds }: { callers: number; rounds: number; seconds: number },
): Promise<Record<string, string | number>[]> {
  await using stack = new AsyncDisposableStack();
  const contenders: Contender[] = [];
  for (const start of [manager, bareDriver, pgPool]) {
    contenders.push(stack.use(await start(server, callers)));
  }
  const samples = new Map<Contender, Sample[]>(contenders.map((contender) => [contender, []]));
  // Compiles, and opens the pools' connections.
  for (const { run } of contenders) await load(run, callers, seconds);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(round + turn) % contenders.length]!;
      samples.get(contender)!.push(await load(contender.run, callers, seconds));
    }
  }
  const ours = samples.get(contenders[0]!)!;
  return contenders.map((contender) => {
    const theirs = samples.get(contender)!;
    const ratios = ours.map(({ perSecond }, round) => perSecond / theirs[round]!.perSecond);
    return {
      callers,
      contender: contender.name,
      "per second": Math.round(median(theirs.map(({ perSecond }) => perSecond))),
      "P99 ms": Number(median(theirs.map(({ p99Ms }) => p99Ms)).toFixed(2)),
      "CPU µs": Number(median(theirs.map(({ cpuUs }) => cpuUs)).toFixed(1)),
      "manager is": `${Math.round(median(ratios) * 100)} %`,
    };
  });
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1" },
  },
});

console.log("acquire + release, uncontended");
const leakDetection = { leakThresholdMs: 60_000, onLeak: () => {} };
for (const [name, options] of Object.entries({ plain: {}, "with leak detection": leakDetection })) {
  const took = await uncontended(options);
  const [p50, p99] = [0.5, 0.99].map((part) => quantile(took, part).toFixed(2));
  console.log(`${name}: P50 ${p50} µs, P99 ${p99} µs`);
}

console.log("callers that wait and are served, in µs for each");
await drain(10_000);
for (const waiters of [1_000, 10_000, 100_000]) {
  const took: number[] = [];
  for (let round = 0; round < 5; round++) took.push(await drain(waiters));
  console.log(`${waiters}: ${median(took).toFixed(2)}`);
}

console.log("select 1, 25 connections (the bare driver: one for each caller)");
await using server = await startPostgres({ settings: { max_connections: "300" } });
const rows = [];
for (const callers of CALLERS) {
  rows.push(
    ...await compare(server, {
      callers,
      rounds: Number(values.rounds),
      seconds: Number(values.seconds),
    }),
  );
}
console.table(rows);
