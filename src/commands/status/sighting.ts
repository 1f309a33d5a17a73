import {
  type GetHealthResponse,
  type HealthEvent,
  ServiceStatus,
} from "../../../gen/treasury/v1/health_pb.ts";

/** Result of a request for the health: an answer, or why there is none. */
export type Sighting = Answer | Silence;

export interface Answer {
  readonly health: GetHealthResponse;
  /** Its latest changes, oldest first; empty in heartbeats. */
  readonly events: readonly HealthEvent[];
}

export interface Silence {
  readonly problem: string;
}

/** Exit codes, as for monitoring plugins. */
export const EXIT = { healthy: 0, degraded: 1, unhealthy: 2, unknown: 3, stopped: 130 } as const;

export function exitCodeOf(sighting: Sighting): number {
  if ("problem" in sighting) return EXIT.unknown;
  switch (sighting.health.status) {
    case ServiceStatus.HEALTHY:
      return EXIT.healthy;
    case ServiceStatus.DEGRADED:
      return EXIT.degraded;
    case ServiceStatus.UNHEALTHY:
      return EXIT.unhealthy;
    default:
      return EXIT.unknown;
  }
}
