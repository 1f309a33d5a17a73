import process from "node:process";
import type { RunOne } from "./pool_contenders.ts";
import { quantile } from "./statistics.ts";

/** What a contender did in one turn. */
export interface Sample {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** Time of this process on a processor for each statement; other processes disturb it less. */
  readonly cpuUs: number;
}

/** Lets `callers` callers run one statement after the other for a while. */
export async function load(run: RunOne, callers: number, seconds: number): Promise<Sample> {
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
