import process from "node:process";
import type { RunOne } from "./pool_contenders.ts";
import { quantile } from "./statistics.ts";

/** Result of a contender's turn. */
export interface Sample {
  readonly perSecond: number;
  readonly p99Ms: number;
  /** CPU time of this process per statement, which other processes affect less than wall time. */
  readonly cpuUs: number;
}

/** Runs statements with `callers` concurrent callers for some time. */
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
