import { type DependencyHealth, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";

const { HEALTHY, DEGRADED, UNHEALTHY } = ServiceStatus;

/** The health of the service, derived from its dependencies. */
export interface Verdict {
  /** HEALTHY, DEGRADED or UNHEALTHY. */
  readonly status: ServiceStatus;
  /** A human-readable summary. */
  readonly message: string;
}

/**
 * Derives the health of the service from its dependencies. The first matching rule applies:
 *
 * 1. A critical dependency is UNHEALTHY: UNHEALTHY.
 * 2. Any dependency is DEGRADED, or a non-critical one is UNHEALTHY: DEGRADED.
 * 3. Otherwise, or without any dependency: HEALTHY.
 *
 * A dependency without a status counts as UNHEALTHY.
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
