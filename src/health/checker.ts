import { create } from "@bufbuild/protobuf";
import {
  type AccessMode,
  type CircuitState,
  type ConnectionPoolInfo,
  type DependencyConfig,
  type DependencyHealth,
  DependencyHealthSchema,
  type DependencyType,
  type ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
import { rfc3339, type WallClock } from "./clock.ts";

/** The address of a dependency, as health responses show it. */
export type DependencyTarget = Omit<DependencyConfig, "$typeName" | "$unknown" | "poolInfo">;

/** Another system that this service depends on, and its address. */
export interface Dependency {
  /** Unique, for example `postgresql-primary`. */
  readonly name: string;
  /** The type of system, such as DATABASE. */
  readonly type: DependencyType;
  /** Whether the service is UNHEALTHY without it. */
  readonly critical: boolean;
  /** Where the dependency is, for health responses. */
  readonly target: DependencyTarget;
}

/**
 * Checks the health of one dependency (specification 001, "Health Check Integration").
 *
 * A checker reports an outage as its result and does not throw for it. Any error that it throws is a
 * defect: the registry then reports CHECK_FAILED, without the text of the error, which may contain
 * secrets.
 */
export interface DependencyChecker extends Dependency {
  /**
   * Time limit of one check, in milliseconds. After it, the registry aborts the signal of the check
   * and reports CHECK_TIMEOUT, whether or not the checker returns.
   */
  readonly timeoutMs: number;
  /** Runs one check until it completes or the signal aborts. */
  check(signal: AbortSignal): Promise<DependencyHealth>;
  /**
   * Calls the listener when the dependency may have changed, so that it is checked at once. Returns a
   * function that removes the listener.
   */
  onChange?(listener: () => void): () => void;
}

/**
 * Extra time that the registry gives a checker beyond the checker's own time limit, in milliseconds,
 * so that the checker's error, which says what was slow, is reported first.
 */
export const OVERRUN_MARGIN_MS = 500;

/** The result of one check. */
export interface Finding {
  /** HEALTHY, DEGRADED or UNHEALTHY. */
  readonly status: ServiceStatus;
  /** A human-readable summary. */
  readonly message: string;
  /** What went wrong: one sentence without internal details, safe to send to any client. */
  readonly error?: string;
  /** Stable UPPER_SNAKE_CASE code for `error`. */
  readonly errorCode?: string;
  /** Whether a database can be read and written. */
  readonly accessMode?: AccessMode;
  /** State of the circuit breaker in front of a database. */
  readonly circuitState?: CircuitState;
  /** Statistics of the connection pool of a database. */
  readonly poolInfo?: Partial<Omit<ConnectionPoolInfo, "$typeName" | "$unknown">>;
}

/** Measures the duration of one check and creates its result. */
export class CheckTimer {
  readonly #clock: WallClock;
  readonly #startedAt: number;

  /** Starts the measurement. */
  constructor(clock: WallClock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  /** Creates the result of a check that ends now. */
  result(dependency: Dependency, { poolInfo, ...finding }: Finding): DependencyHealth {
    return create(DependencyHealthSchema, {
      name: dependency.name,
      type: dependency.type,
      isCritical: dependency.critical,
      config: { ...dependency.target, ...(poolInfo !== undefined && { poolInfo }) },
      lastCheck: rfc3339(this.#clock.date()),
      responseTimeMs: Math.round(this.#clock.now() - this.#startedAt),
      ...finding,
    });
  }
}
