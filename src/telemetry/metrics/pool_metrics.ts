import type { Registry } from "prom-client";
import type { DatabaseManager, PoolStats } from "../../database/mod.ts";
import { labelValue, type Report, snapshotCounter, snapshotGauge } from "./snapshot.ts";

/** The part of the manager that the pool metrics read. */
export type PooledDatabase = Pick<DatabaseManager, "config" | "pools">;

/** A value of the statistics of a pool. */
interface PoolNumber {
  /** Without the prefix. */
  readonly name: string;
  readonly help: string;
  readonly read: (stats: PoolStats) => number;
}

const PREFIX = "db_client_connection_";

const GAUGES: readonly PoolNumber[] = [
  { name: "max", help: "Maximum number of open connections.", read: ({ max }) => max },
  {
    name: "opening",
    help: "Connections being opened.",
    read: ({ connecting }) => connecting,
  },
  {
    name: "closing",
    help: "Connections being closed, which still count as open.",
    read: ({ closing }) => closing,
  },
  {
    name: "pending_requests",
    help: "Callers waiting for a connection.",
    read: ({ waiting }) => waiting,
  },
  {
    name: "utilization_ratio",
    help: "Connections in use divided by the maximum, from 0 to 1.",
    read: ({ inUse, max }) => max > 0 ? inUse / max : 0,
  },
];

const COUNTERS: readonly PoolNumber[] = [
  {
    name: "acquired_total",
    help: "Acquired connections.",
    read: ({ acquireCount }) => acquireCount,
  },
  {
    name: "waited_total",
    help: "Acquires that waited for a connection in use.",
    read: ({ waitCount }) => waitCount,
  },
  {
    name: "timeouts_total",
    help: "Acquires that timed out.",
    read: ({ acquireTimeoutCount }) => acquireTimeoutCount,
  },
  {
    name: "rejected_total",
    help: "Acquires that were rejected because the queue was full.",
    read: ({ rejectedCount }) => rejectedCount,
  },
  {
    name: "opened_total",
    help: "Opened connections.",
    read: ({ openedCount }) => openedCount,
  },
  {
    name: "open_failures_total",
    help: "Failed attempts to open a connection.",
    read: ({ openFailedCount }) => openFailedCount,
  },
];

/**
 * Adds every statistic of every pool.
 *
 * Source of the names, where it defines them: OpenTelemetry semantic conventions, "Database client
 * metrics".
 */
export function addPoolMetrics(registry: Registry, { config, pools }: PooledDatabase): void {
  const labels = ["pool"] as const;
  const readAll = (read: (stats: PoolStats) => number) => (report: Report<"pool">) => {
    for (const [pool, view] of pools) report(read(view.stats()), { pool });
  };
  for (const { name, help, read } of GAUGES) {
    snapshotGauge(registry, { name: PREFIX + name, help, labels }, readAll(read));
  }
  for (const { name, help, read } of COUNTERS) {
    snapshotCounter(registry, { name: PREFIX + name, help, labels }, readAll(read));
  }
  snapshotGauge(registry, {
    name: `${PREFIX}idle_max`,
    help: "Maximum number of idle connections.",
    labels,
  }, readAll(() => config.maxIdleConnections));
  snapshotGauge(registry, {
    name: `${PREFIX}idle_min`,
    help: "Number of idle connections that the pool keeps open.",
    labels,
  }, readAll(() => config.minIdleConnections));
  snapshotGauge(registry, {
    name: `${PREFIX}count`,
    help: "Open connections, idle or used.",
    labels: ["pool", "state"],
  }, (report) => {
    for (const [pool, view] of pools) {
      const { idle, inUse } = view.stats();
      report(idle, { pool, state: "idle" });
      report(inUse, { pool, state: "used" });
    }
  });
  snapshotCounter(registry, {
    name: `${PREFIX}closed_total`,
    help: "Closed connections, by reason.",
    labels: ["pool", "reason"],
  }, (report) => {
    for (const [pool, view] of pools) {
      for (const [reason, count] of Object.entries(view.stats().closedCount)) {
        report(count, { pool, reason: labelValue(reason) });
      }
    }
  });
}
