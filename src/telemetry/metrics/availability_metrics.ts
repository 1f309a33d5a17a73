import { Counter, type Registry } from "prom-client";
import type { AccessMode, DatabaseManager } from "../../database/mod.ts";
import { DurationHistogram } from "./duration_histogram.ts";
import { reportStates, snapshotGauge } from "./snapshot.ts";

/** The part of the manager that the availability metrics read. */
export type WatchedDatabase = Pick<DatabaseManager, "state" | "accessMode" | "onStateChange">;

const ACCESS_MODES: readonly AccessMode[] = ["READ_WRITE", "READ_ONLY", "UNAVAILABLE"];

/** Bucket bounds in seconds; the specification requires recovery in less than 60 seconds. */
const RECOVERY_BUCKETS = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600];

/** Whether the database is up, its access mode, and the duration of outages. */
export function addAvailabilityMetrics(registry: Registry, database: WatchedDatabase): void {
  snapshotGauge(registry, {
    name: "treasury_database_up",
    help: "1 while the primary is connected.",
  }, (report) => report(Number(database.state === "connected")));
  snapshotGauge(registry, {
    name: "treasury_database_access_mode",
    help: "1 for the current access mode of the database, 0 for the others.",
    labels: ["mode"],
  }, (report) =>
    reportStates(ACCESS_MODES, database.accessMode, (value, mode) => {
      report(value, { mode: mode.toLowerCase() });
    }));
  addOutageMetrics(registry, database);
}

/** An outage begins when the connection to the database is lost, and ends when it is restored. */
function addOutageMetrics(registry: Registry, database: WatchedDatabase): void {
  let lostAt: number | undefined;
  let lastRecoveryMs = 0;
  const outages = new Counter({
    name: "treasury_database_outages_total",
    help: "Number of times that the connection to the database was lost.",
    registers: [registry],
  });
  const recovery = new DurationHistogram({
    name: "treasury_database_recovery_duration_seconds",
    help: "Duration of completed outages.",
    labels: [],
    buckets: RECOVERY_BUCKETS,
    registry,
  }).child();
  snapshotGauge(registry, {
    name: "treasury_database_outage_duration_seconds",
    help: "Duration of the current outage, 0 while there is none.",
  }, (report) => report(lostAt === undefined ? 0 : (performance.now() - lostAt) / 1000));
  snapshotGauge(registry, {
    name: "treasury_database_last_recovery_duration_seconds",
    help: "Duration of the last completed outage, 0 before the first.",
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
