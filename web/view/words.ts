import { AccessMode, CircuitState, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";

/** How a status is shown: never by color alone. */
export interface StatusWords {
  /** For `data-status`, which determines the color. */
  readonly key: "HEALTHY" | "DEGRADED" | "UNHEALTHY" | "UNKNOWN";
  readonly symbol: string;
  readonly word: string;
}

const UNKNOWN: StatusWords = { key: "UNKNOWN", symbol: "?", word: "Unknown" };

const STATUSES: Readonly<Record<ServiceStatus, StatusWords>> = {
  [ServiceStatus.SERVICE_STATUS_UNSPECIFIED]: UNKNOWN,
  [ServiceStatus.HEALTHY]: { key: "HEALTHY", symbol: "●", word: "Healthy" },
  [ServiceStatus.DEGRADED]: { key: "DEGRADED", symbol: "▲", word: "Degraded" },
  [ServiceStatus.UNHEALTHY]: { key: "UNHEALTHY", symbol: "✖", word: "Unhealthy" },
};

/** Statuses of newer services may be unknown to this page. */
export function statusWords(status: ServiceStatus): StatusWords {
  return STATUSES[status] ?? UNKNOWN;
}

/** `read-write`, …; undefined if the dependency is no database. */
export function accessWord(mode: AccessMode | undefined): string | undefined {
  return mode === undefined ? undefined : lower(AccessMode[mode]);
}

/** `half-open`, …; undefined without a circuit breaker. */
export function circuitWord(state: CircuitState | undefined): string | undefined {
  return state === undefined ? undefined : lower(CircuitState[state]);
}

function lower(name = "unknown"): string {
  return name.toLowerCase().replaceAll("_", "-");
}

/** Formats a time in the time zone of the reader, with its name, because logs are in UTC. */
export function moment(time: string): string {
  return new Date(time).toLocaleString(undefined, { timeZoneName: "short" });
}

/** `420 ms`, `3.2 s`, `2 min 5 s`, `1 h 3 min`, `4 d 2 h`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 1440) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  const hours = Math.floor(minutes / 60);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}
