import { Counter, type Registry } from "prom-client";
import type { AccessMode, DatabaseManager } from "../../database/mod.ts";
import { DurationHistogram } from "./duration_histogram.ts";
import { reportStates, snapshotGauge } from "./snapshot.ts";

/** What the metrics of up and down are read from. */
export type WatchedDatabase = Pick<DatabaseManager, "state" | "accessMode" | "onStateChange">;

const ACCESS_MODES: readonly AccessMode[] = ["READ_WRITE", "READ_ONLY", "UNAVAILABLE"];

/** The specification wants a recovery in less than 60 seconds. */
const RECOVERY_BUCKETS = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600];

/** Whether the database is up, what it allows, and how long its outages last. */
export function addAvailabilityMetrics(registry: Registry, database: WatchedDatabase): void {
  snapshotGauge(registry, {
    name: "treasury_database_up",
    help: "1 while the primary is connected.",
  }, (report) => report(Number(database.state === "connected")));
  snapshotGauge(registry, {
    name: "treasury_database_access_mode",
    help: "1 for what the database allows at the moment, 0 for all others.",
    labels: ["mode"],
  }, (report) =>
    reportStates(ACCESS_MODES, database.accessMode, (value, mode) => {
      report(value, { mode: mode.toLowerCase() });
    }));
  addOutageMetrics(registry, database);
}

/** An outage begins when a connected database is lost, and ends when it is connected again. */
function addOutageMetrics(registry: Registry, database: WatchedDatabase): void {
  let lostAt: number | undefined;
  let lastRecoveryMs = 0;
  const outages = new Counter({
    name: "treasury_database_outages_total",
    help: "Times that a connected database was lost.",
    registers: [registry],
  });
  const recovery = new DurationHistogram({
    name: "treasury_database_recovery_duration_seconds",
    help: "Length of outages that are over.",
    labels: [],
    buckets: RECOVERY_BUCKETS,
    registry,
  }).child();
  snapshotGauge(registry, {
    name: "treasury_database_outage_duration_seconds",
    help: "Length of the outage that goes on, 0 while there is none.",
  }, (report) => report(lostAt === undefined ? 0 : (performance.now() - lostAt) / 1000));
  snapshotGauge(registry, {
    name: "treasury_database_last_recovery_duration_seconds",
    help: "Length of the last outage that is over, 0 before the first.",
  }, (report) => report(lastRecoveryMs / 1000));

  database.onStateChange(({ state, previous }) => {
    if (state === "disconnected" && previous === "connected") {
      lostAt = performance.now();
      outages.inc();
    } else if (state === "connected" && lostAt !== undefined) {
      lastRecoveryMs = performance.now() - lostAt;
      recovery.observe(lastRecoveryMs);
      lostAt = undefined;
    }
  });
}
