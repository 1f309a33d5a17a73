import type { DependencyHealth } from "../gen/treasury/v1/health_pb.ts";

/** One sample of a dependency. */
export interface Sample {
  /** Seconds since 1970, by the clock of the browser. */
  readonly time: number;
  readonly latencyMs: number;
  /** Undefined without a connection pool. */
  readonly inUse: number | undefined;
  readonly idle: number | undefined;
  readonly waiting: number | undefined;
}

/** Ten minutes of samples. */
const LIMIT = 300;

/** The samples of one dependency since the page was opened, limited to what the charts show. */
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

  /** One array for each field, as the charts require. */
  columns(fields: readonly (keyof Sample)[]): (number | null)[][] {
    return fields.map((field) => this.#samples.map((sample) => sample[field] ?? null));
  }
}
