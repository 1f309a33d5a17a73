import type { Registry } from "prom-client";
import { ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import type { HealthObserver, HealthRegistry } from "../../health/mod.ts";
import { DurationHistogram } from "./duration_histogram.ts";
import { reportStates, snapshotGauge } from "./snapshot.ts";

const STATUSES = [ServiceStatus.HEALTHY, ServiceStatus.DEGRADED, ServiceStatus.UNHEALTHY] as const;

/** Measures the health checks of each dependency, by result. */
export function observeHealthChecks(registry: Registry): HealthObserver {
  const durations = new DurationHistogram({
    name: "treasury_health_check_duration_seconds",
    help: "Duration of health checks, by result.",
    labels: ["dependency", "status"],
    registry,
  });
  return {
    async check(dependency, run) {
      // Counters start at 0, so that the first failure is an increase.
      for (const status of STATUSES) durations.child(dependency, nameOf(status));
      const startedAt = performance.now();
      const result = await run();
      durations.child(dependency, nameOf(result.status)).observe(performance.now() - startedAt);
      return result;
    },
  };
}

/** The last known health of the service and of each dependency. */
export function addHealthMetrics(
  registry: Registry,
  health: Pick<HealthRegistry, "latest" | "readiness">,
): void {
  snapshotGauge(registry, {
    name: "treasury_health_ready",
    help: "1 while the service is ready for traffic.",
  }, (report) => report(Number(health.readiness.ready)));
  snapshotGauge(registry, {
    name: "treasury_health_status",
    help: "1 for the current health of the service, 0 for the others.",
    labels: ["status"],
  }, (report) =>
    reportStates(STATUSES, health.latest()?.status, (value, status) => {
      report(value, { status: nameOf(status) });
    }));
  snapshotGauge(registry, {
    name: "treasury_health_dependency_status",
    help: "1 for the current health of the dependency, 0 for the others.",
    labels: ["dependency", "status"],
  }, (report) => {
    for (const { name: dependency, status } of health.latest()?.dependencies ?? []) {
      reportStates(STATUSES, status, (value, one) => {
        report(value, { dependency, status: nameOf(one) });
      });
    }
  });
}

function nameOf(status: ServiceStatus): string {
  return ServiceStatus[status].toLowerCase();
}
