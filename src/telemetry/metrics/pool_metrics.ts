import type { Registry } from "prom-client";
import type { DatabaseManager, PoolStats } from "../../database/mod.ts";
import { labelValue, type Report, snapshotCounter, snapshotGauge } from "./snapshot.ts";

/** What the pool metrics are read from. */
export type PooledDatabase = Pick<DatabaseManager, "config" | "pools">;

/** One number of each pool. */
interface PoolNumber {
  /** Without the prefix. */
  readonly name: string;
  readonly help: string;
  readonly read: (stats: PoolStats) => number;
}

const PREFIX = "db_client_connection_";

const GAUGES: readonly PoolNumber[] = [
  { name: "max", help: "Most connections that may be open.", read: ({ max }) => max },
  {
    name: "opening",
    help: "Connections that are being opened.",
    read: ({ connecting }) => connecting,
  },
  {
    name: "closing",
    help: "Connections that are being closed politely; they take a place each.",
    read: ({ closing }) => closing,
  },
  {
    name: "pending_requests",
    help: "Callers that wait for a connection.",
    read: ({ waiting }) => waiting,
  },
  {
    name: "utilization_ratio",
    help: "Connections in use as a part of the most that may be open, from 0 to 1.",
    read: ({ inUse, max }) => max > 0 ? inUse / max : 0,
  },
];

const COUNTERS: readonly PoolNumber[] = [
  {
    name: "acquired_total",
    help: "Acquires that got a connection.",
    read: ({ acquireCount }) => acquireCount,
  },
  {
    name: "waited_total",
    help: "Acquires that had to wait for the connection of another caller.",
    read: ({ waitCount }) => waitCount,
  },
  {
    name: "timeouts_total",
    help: "Acquires that got no connection in time.",
    read: ({ acquireTimeoutCount }) => acquireTimeoutCount,
  },
  {
    name: "rejected_total",
    help: "Acquires that were turned away because too many waited.",
    read: ({ rejectedCount }) => rejectedCount,
  },
  {
    name: "opened_total",
    help: "Connections that were opened.",
    read: ({ openedCount }) => openedCount,
  },
  {
    name: "open_failures_total",
    help: "Connections that could not be opened.",
    read: ({ openFailedCount }) => openFailedCount,
  },
];

/**
 * Every statistic of every pool.
 *
 * Source of the names, as far as it has them: OpenTelemetry semantic conventions, "Database client
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
    help: "Most connections that are kept while nobody uses them.",
    labels,
  }, readAll(() => config.maxIdleConnections));
  snapshotGauge(registry, {
    name: `${PREFIX}idle_min`,
    help: "Connections that are kept ready while nobody uses them.",
    labels,
  }, readAll(() => config.minIdleConnections));
  snapshotGauge(registry, {
    name: `${PREFIX}count`,
    help: "Connections that are idle or used.",
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
    help: "Connections that were closed, by reason.",
    labels: ["pool", "reason"],
  }, (report) => {
    for (const [pool, view] of pools) {
      for (const [reason, count] of Object.entries(view.stats().closedCount)) {
        report(count, { pool, reason: labelValue(reason) });
      }
    }
  });
}
