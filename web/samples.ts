import type { DependencyHealth } from "../gen/treasury/v1/health_pb.ts";

/** One look at a dependency. */
export interface Sample {
  /** Seconds since 1970, by the browser's clock. */
  readonly time: number;
  readonly latencyMs: number;
  /** Undefined for what has no connection pool. */
  readonly inUse: number | undefined;
  readonly idle: number | undefined;
  readonly waiting: number | undefined;
}

/** Ten minutes of samples. */
const LIMIT = 300;

/** What the page has seen of one dependency since it was opened, as far as the charts show it. */
export class Samples {
  #samples: readonly Sample[] = [];

  add({ responseTimeMs, config }: DependencyHealth, now: Date): void {
    const pool = config?.poolInfo;
    const sample = {
      time: now.getTime() / 1000,
      latencyMs: responseTimeMs,
      inUse: pool?.activeConnections,
      idle: pool?.idleConnections,
      waiting: pool?.waiting,
    };
    this.#samples = [...this.#samples, sample].slice(-LIMIT);
  }

  /** One array for each of the fields, as charts take them. */
  columns(fields: readonly (keyof Sample)[]): (number | null)[][] {
    return fields.map((field) => this.#samples.map((sample) => sample[field] ?? null));
  }
}
