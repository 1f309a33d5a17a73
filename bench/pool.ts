/**
 * Measures the pool alone, and statements through the manager beside the bare driver and npm:pg's
 * Pool, on an embedded PostgreSQL. Contenders take turns in many short rounds, because the machine's
 * other work comes and goes; compare the numbers of one run only, and trust the ratios most: each is
 * the median of the rounds' own.
 *
 * `deno task bench:pool [--rounds 50] [--seconds 0.15] [--samples 1000]`
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { startPostgres, type TestPostgres } from "../tests/support/postgres.ts";
import { drain, uncontended } from "./pool_alone.ts";
import { checksUnderLoad } from "./pool_checks.ts";
import { opensPerThousand } from "./pool_churn.ts";
import {
  bareDriver,
  type Contender,
  manager,
  pgPool,
  type RunOne,
  type StatementKind,
} from "./pool_contenders.ts";
import { median, quantile } from "./statistics.ts";

const CALLERS = [1, 25, 200];
/** Rounds in which everything is compiled, and connections are opened. */
const WARM_UP = 5;

interface Sample {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** Time of this process on a processor for each statement; other processes disturb it less. */
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

interface Comparison {
  readonly statement: StatementKind;
  readonly callers: number;
  readonly rounds: number;
  readonly seconds: number;
}

async function compare(
  server: TestPostgres,
  { statement, callers, rounds, seconds }: Comparison,
): Promise<Record<string, string | number>[]> {
  await using stack = new AsyncDisposableStack();
  const contenders: Contender[] = [];
  for (const start of [manager, bareDriver, pgPool]) {
    contenders.push(stack.use(await start(server, callers)));
  }
  const samples = new Map<Contender, Sample[]>(contenders.map((contender) => [contender, []]));
  for (let round = -WARM_UP; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const contender = contenders[(WARM_UP + round + turn) % contenders.length]!;
      const sample = await load(contender.run[statement], callers, seconds);
      if (round >= 0) samples.get(contender)!.push(sample);
    }
  }
  const ours = samples.get(contenders[0]!)!;
  return contenders.map((contender) => {
    const theirs = samples.get(contender)!;
    const middle = (of: keyof Sample) => median(theirs.map((sample) => sample[of]));
    const ratio = (of: keyof Sample) =>
      median(ours.map((sample, round) => sample[of] / theirs[round]![of]));
    return {
      statement,
      callers,
      contender: contender.name,
      "per second": Math.round(middle("perSecond")),
      "P99 ms": Number(middle("p99Ms").toFixed(2)),
      "CPU µs": Number(middle("cpuUs").toFixed(1)),
      "manager's rate": `${Math.round(ratio("perSecond") * 100)} %`,
      "manager's CPU": `${Math.round(ratio("cpuUs") * 100)} %`,
    };
  });
}

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "50" },
    seconds: { type: "string", default: "0.15" },
    samples: { type: "string", default: "1000" },
  },
});

console.log("acquire + release, uncontended");
const leakDetection = { leakThresholdMs: 60_000, onLeak: () => {} };
for (const [name, options] of Object.entries({ plain: {}, "with leak detection": leakDetection })) {
  const took = await uncontended(options);
  const [p50, p99] = [0.5, 0.99].map((part) => quantile(took, part).toFixed(2));
  console.log(`${name}: P50 ${p50} µs, P99 ${p99} µs`);
}

console.log("callers that all queue, and are then served");
await drain(10_000);
for (const waiters of [1_000, 10_000, 100_000]) {
  const took: number[] = [];
  for (let round = 0; round < 5; round++) took.push(await drain(waiters));
  const totalMs = median(took);
  console.log(
    `${waiters}: ${totalMs.toFixed(1)} ms, ${(totalMs / waiters * 1000).toFixed(2)} µs for each`,
  );
}

await using server = await startPostgres({ settings: { max_connections: "300" } });

console.log("statements of 1000 that open a connection, 25 callers in bursts");
for (const maxIdle of [5, 10, 25]) {
  const opens = await opensPerThousand(server, { maxIdle, seconds: 3 });
  console.log(`DB_MAX_IDLE_CONNECTIONS=${maxIdle}: ${opens.toFixed(1)}`);
}

console.log(
  "health checks and acquisitions, others at work: 25 connections, ratio to a bare select 1",
);
const samples = Number(values.samples);
const checks = [];
for (const callers of [0, 25, 200]) {
  checks.push(...await checksUnderLoad(server, { callers, samples }));
}
console.table(checks);

console.log("one statement after the other, 25 connections (the bare driver: one for each caller)");
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const rows = [];
for (const statement of ["plain", "parameter"] as const) {
  for (const callers of CALLERS) {
    rows.push(...await compare(server, { statement, callers, rounds, seconds }));
  }
}
console.table(rows);
