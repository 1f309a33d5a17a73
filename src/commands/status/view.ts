import {
  AccessMode,
  CircuitState,
  type ConnectionPoolInfo,
  type DependencyHealth,
  type HealthEvent,
  ServiceStatus,
} from "../../../gen/treasury/v1/health_pb.ts";
import { ageOf, duration } from "./duration.ts";
import type { Answer } from "./sighting.ts";
import type { Line, Span, Style } from "./text.ts";

/** What is known about a service. */
export interface Knowledge {
  readonly url: string;
  /** The last answer, of any age. */
  readonly answer?: Answer | undefined;
  /** When the last answer arrived, in milliseconds since the epoch. */
  readonly answeredAt?: number | undefined;
  /** Why the service does not respond now. */
  readonly problem?: string | undefined;
}

/** Each status has a distinct shape, for terminals and people without colors. */
const LOOKS: Readonly<Record<ServiceStatus, { readonly mark: string; readonly style: Style }>> = {
  [ServiceStatus.SERVICE_STATUS_UNSPECIFIED]: { mark: "?", style: "dim" },
  [ServiceStatus.HEALTHY]: { mark: "●", style: "green" },
  [ServiceStatus.DEGRADED]: { mark: "▲", style: "yellow" },
  [ServiceStatus.UNHEALTHY]: { mark: "✖", style: "red" },
};

const GAUGE_CELLS = 20;
const MOST_EVENTS = 8;

/** Formats the health of a service as lines. */
export function view({ url, answer, answeredAt, problem }: Knowledge, now: number): Line[] {
  const unreachable: Line[] = problem === undefined
    ? []
    : [[{ text: "✖ UNREACHABLE", style: "red" }, `  ${url}: ${problem}`]];
  if (answer === undefined) {
    return problem === undefined ? [[`Connecting to ${url} …`]] : unreachable;
  }
  if (problem !== undefined && answeredAt !== undefined) {
    const age = duration(now - answeredAt);
    unreachable.push([{ text: `STALE: last response ${age} ago`, style: "yellow" }], []);
  }
  const { health, events } = answer;
  return [
    ...unreachable,
    [
      { text: `Treasury Service ${health.version}`, style: "bold" },
      `  ${url}, up ${duration(health.uptimeSeconds * 1000)}`,
    ],
    [...status(health.status), `  ${health.message}`],
    ...health.dependencies.flatMap((dependency) => [[], ...viewDependency(dependency, now)]),
    ...viewEvents(events),
  ];
}

function viewDependency(dependency: DependencyHealth, now: number): Line[] {
  const { name, isCritical, message, config, errorCode, accessMode, circuitState } = dependency;
  const lines: Line[] = [[
    { text: name, style: "bold" },
    isCritical ? "  " : " (not critical)  ",
    ...status(dependency.status),
    `  ${message}${errorCode === undefined ? "" : ` (${errorCode})`}`,
  ]];
  if (config !== undefined) {
    const { protocol, hostname, port, databaseName, poolInfo } = config;
    const path = databaseName === undefined ? "" : `/${databaseName}`;
    lines.push(field("where", `${protocol}://${hostname}:${port}${path}`));
    if (poolInfo !== undefined) lines.push(field("pool", ...viewPool(poolInfo)));
  }
  if (accessMode !== undefined) {
    const style = accessMode === AccessMode.READ_WRITE ? "green" : "yellow";
    lines.push(field("access", { text: AccessMode[accessMode] ?? `${accessMode}`, style }));
  }
  if (circuitState !== undefined) {
    const style = circuitState === CircuitState.CLOSED ? "green" : "yellow";
    lines.push(field("circuit", { text: CircuitState[circuitState] ?? `${circuitState}`, style }));
  }
  const age = ageOf(dependency.lastCheck, now);
  lines.push(field("checked", `${age} ago, took ${dependency.responseTimeMs} ms`));
  return lines;
}

function viewPool(pool: ConnectionPoolInfo): Span[] {
  const { maxConnections, activeConnections, idleConnections, waiting, utilization } = pool;
  const full = Math.min(GAUGE_CELLS, Math.ceil(utilization * GAUGE_CELLS));
  return [
    { text: "█".repeat(full), style: utilization > 0.8 ? "yellow" : "green" },
    { text: "░".repeat(GAUGE_CELLS - full), style: "dim" },
    ` ${activeConnections} of ${maxConnections} in use, ${idleConnections} idle, `,
    waiting > 0 ? { text: `${waiting} waiting`, style: "yellow" } : "0 waiting",
  ];
}

function viewEvents(events: readonly HealthEvent[]): Line[] {
  if (events.length === 0) return [];
  const lines = events.slice(-MOST_EVENTS).map((event): Line => {
    const { time, dependency, message, outageMs } = event;
    const after = outageMs === undefined ? "" : `, after ${duration(outageMs)}`;
    const who = dependency === "" ? "service" : dependency;
    return [`  ${time}  ${who}  `, ...status(event.status), `  ${message}${after}`];
  });
  return [[], [{ text: "Recent changes", style: "bold" }], ...lines];
}

function status(value: ServiceStatus): Span[] {
  const { mark, style } = LOOKS[value] ?? LOOKS[ServiceStatus.SERVICE_STATUS_UNSPECIFIED];
  return [{ text: `${mark} ${ServiceStatus[value] ?? value}`, style }];
}

function field(name: string, ...spans: Span[]): Line {
  return [{ text: `  ${name.padEnd(9)}`, style: "dim" }, ...spans];
}
