import type { DependencyHealth, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { aggregate } from "./aggregate.ts";
import { rfc3339 } from "./clock.ts";

/** How the service, or one of its dependencies, is doing. */
export interface HealthReport {
  readonly status: ServiceStatus;
  /** One sentence for people. */
  readonly message: string;
  readonly dependencies: readonly DependencyHealth[];
  /** When the last of the checks ended: RFC 3339, UTC. */
  readonly checkedAt: string;
  /** How long the whole check took: checks run side by side, so as long as the slowest one. */
  readonly checkDurationMs: number;
}

/** Sums up the results of checks; `now` is the time of a report on no dependencies. */
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
 * Whether two reports tell the same story. Status, message, error code, access mode and circuit
 * state count, of the service and of each dependency; times and pool counts, which differ on every
 * check, do not.
 */
export function sameStory(a: HealthReport | undefined, b: HealthReport | undefined): boolean {
  return story(a) === story(b);
}

function story(report: HealthReport | undefined): string {
  if (report === undefined) return "";
  const dependencies = report.dependencies.map((one) => [one.name, storyOf(one)]);
  return JSON.stringify([report.status, report.message, dependencies]);
}

/** What about a dependency, or the service, is news when it differs. */
export type Story =
  & Pick<DependencyHealth, "status" | "message">
  & Partial<Pick<DependencyHealth, "errorCode" | "accessMode" | "circuitState">>;

/** Equal for equal stories. */
export function storyOf(told: Story): string {
  const { status, message, errorCode, accessMode, circuitState } = told;
  return JSON.stringify([status, message, errorCode, accessMode, circuitState]);
}
