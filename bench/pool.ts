/**
 * Measures the pool alone, and statements through the manager compared with the bare driver and the
 * Pool of npm:pg, with an embedded PostgreSQL. Contenders take turns in many short rounds, because
 * the load of the machine varies. Compare only numbers of the same run, and prefer the ratios: each
 * is the median of the ratios of the rounds.
 *
 * `deno task bench:pool [--rounds 50] [--seconds 0.15] [--samples 1000] [--apart]`
 *
 * With `--apart` each contender has a separate isolate, and only the statements are measured.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { startPostgres, type TestPostgres } from "../tests/support/postgres.ts";
import { drain, uncontended } from "./pool_alone.ts";
import { checksUnderLoad } from "./pool_checks.ts";
import { opensPerThousand } from "./pool_churn.ts";
import type { Sample } from "./pool_load.ts";
import { type Player, playersApart, playersHere, type Turn } from "./pool_players.ts";
import { median, quantile } from "./statistics.ts";

const CALLERS = [1, 25, 200];
/** Warm-up rounds, to open connections and compile everything, which takes V8 some seconds. */
const WARM_UP = 30;

interface Comparison extends Turn {
  readonly rounds: number;
  /** Whether each contender has a separate isolate. */
  readonly apart: boolean;
}

async function compare(
  server: TestPostgres,
  { rounds, apart, ...turn }: Comparison,
): Promise<Record<string, string | number>[]> {
  await using stack = new AsyncDisposableStack();
  const players = await (apart ? playersApart : playersHere)(server, turn);
  for (const player of players) stack.use(player);
  const samples = new Map<Player, Sample[]>(players.map((player) => [player, []]));
  for (let round = -WARM_UP; round < rounds; round++) {
    for (let turn = 0; turn < players.length; turn++) {
      const player = players[(WARM_UP + round + turn) % players.length]!;
      const sample = await player.play();
      if (round >= 0) samples.get(player)!.push(sample);
    }
  }
  const ours = samples.get(players[0]!)!;
  return players.map((player) => {
    const theirs = samples.get(player)!;
    const middle = (of: keyof Sample) => median(theirs.map((sample) => sample[of]));
    const ratio = (of: keyof Sample) =>
      median(ours.map((sample, round) => sample[of] / theirs[round]![of]));
    return {
      statement: turn.statement,
      callers: turn.callers,
      contender: player.name,
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
    apart: { type: "boolean", default: false },
  },
});

if (!values.apart) await measureAlone();
await using server = await startPostgres({ settings: { max_connections: "300" } });
if (!values.apart) await measureAtWork(server);

console.log("one statement after the other, 25 connections (the bare driver: one for each caller)");
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const rows = [];
for (const statement of ["plain", "parameter"] as const) {
  for (const callers of CALLERS) {
    rows.push(
      ...await compare(server, { statement, callers, rounds, seconds, apart: values.apart }),
    );
  }
}
console.table(rows);

/** The pool without a server. */
async function measureAlone(): Promise<void> {
  console.log("acquire + release, uncontended");
  const detection = { leakWarningAfterMs: 60_000, onLeak: () => {} };
  for (const [name, options] of Object.entries({ plain: {}, "with leak detection": detection })) {
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
}

/** The effect of a busy pool on other work. */
async function measureAtWork(server: TestPostgres): Promise<void> {
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
}
