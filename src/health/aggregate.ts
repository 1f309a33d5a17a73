import { type DependencyHealth, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";

const { HEALTHY, DEGRADED, UNHEALTHY } = ServiceStatus;

/** What the dependencies together mean for the service. */
export interface Verdict {
  readonly status: ServiceStatus;
  /** One sentence for people. */
  readonly message: string;
}

/**
 * Judges the service by its dependencies. The first rule that fits decides:
 *
 * 1. A critical dependency is UNHEALTHY: UNHEALTHY.
 * 2. A dependency is DEGRADED, or one that is not critical is UNHEALTHY: DEGRADED.
 * 3. Otherwise, also with no dependency at all: HEALTHY.
 *
 * A dependency without a status counts as UNHEALTHY: what is not known to work does not work.
 */
export function aggregate(dependencies: readonly DependencyHealth[]): Verdict {
  const impaired = dependencies.filter(({ status }) => status !== HEALTHY);
  if (impaired.length === 0) return { status: HEALTHY, message: "Service is fully operational" };

  const down = impaired.some(({ status, isCritical }) => isCritical && status !== DEGRADED);
  const why = impaired.map(({ name, message }) => `${name} (${message})`).join(", ");
  return down
    ? { status: UNHEALTHY, message: `Service is unhealthy because of ${why}` }
    : { status: DEGRADED, message: `Service is degraded because of ${why}` };
}
