import type { DependencyHealth, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { aggregate } from "./aggregate.ts";
import { rfc3339 } from "./clock.ts";

/** The health of the service, or of one of its dependencies. */
export interface HealthReport {
  /** HEALTHY, DEGRADED or UNHEALTHY. */
  readonly status: ServiceStatus;
  /** A human-readable summary. */
  readonly message: string;
  /** The result of each dependency. */
  readonly dependencies: readonly DependencyHealth[];
  /** When the last check completed: RFC 3339, UTC. */
  readonly checkedAt: string;
  /** Duration of the slowest check, in milliseconds; checks run concurrently. */
  readonly checkDurationMs: number;
}

/** Combines the results of checks. `now` is the time of a report without dependencies. */
export function summarize(dependencies: readonly DependencyHealth[], now: Date): HealthReport {
  const ends = dependencies.map(({ lastCheck }) => lastCheck).sort();
  return {
    ...aggregate(dependencies),
    dependencies,
    checkedAt: ends.at(-1) ?? rfc3339(now),
    checkDurationMs: Math.max(0, ...dependencies.map(({ responseTimeMs }) => responseTimeMs)),
  };
}

/**
 * Whether two reports are equal in status, message, error code, access mode and circuit state, of the
 * service and of each dependency. Times and pool statistics, which differ on every check, are ignored.
 */
export function sameStory(a: HealthReport | undefined, b: HealthReport | undefined): boolean {
  return story(a) === story(b);
}

function story(report: HealthReport | undefined): string {
  if (report === undefined) return "";
  const dependencies = report.dependencies.map((one) => [one.name, storyOf(one)]);
  return JSON.stringify([report.status, report.message, dependencies]);
}

/** The fields of a dependency, or of the service, whose change is reported. */
export type Story =
  & Pick<DependencyHealth, "status" | "message">
  & Partial<Pick<DependencyHealth, "errorCode" | "accessMode" | "circuitState">>;

/** A string that is equal for equal stories. */
export function storyOf(told: Story): string {
  const { status, message, errorCode, accessMode, circuitState } = told;
  return JSON.stringify([status, message, errorCode, accessMode, circuitState]);
}
