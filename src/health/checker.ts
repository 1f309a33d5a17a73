import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type ConnectionPoolInfoSchema,
  type DependencyConfigSchema,
  type DependencyHealth,
  DependencyHealthSchema,
  type DependencyType,
} from "../../gen/treasury/v1/health_pb.ts";
import { rfc3339, type WallClock } from "./clock.ts";

/** Something that this service needs, and where it is. */
export interface Dependency {
  /** Unique, for example `postgresql-primary`. */
  readonly name: string;
  readonly type: DependencyType;
  /** Whether the service is UNHEALTHY without it. */
  readonly critical: boolean;
  readonly target: Omit<MessageInitShape<typeof DependencyConfigSchema>, "$typeName" | "poolInfo">;
}

/**
 * Finds out how one dependency is doing (specification 001, "Health Check Integration").
 *
 * A checker reports what it finds and does not throw for an outage: only it knows what to say about
 * one. What it does throw is a defect; the registry then reports CHECK_FAILED and tells nobody the
 * error's text, because nobody has looked for secrets in it.
 */
export interface DependencyChecker extends Dependency {
  /**
   * Limit of one check in milliseconds. The registry then aborts the check's signal and reports
   * CHECK_TIMEOUT, whether or not the checker stops.
   */
  readonly timeoutMs: number;
  check(signal: AbortSignal): Promise<DependencyHealth>;
  /**
   * Calls the listener when the dependency seems to have changed, so that it is checked at once.
   * Returns the function that ends this.
   */
  onChange?(listener: () => void): () => void;
}

/**
 * How much longer than its own limit a checker gets from the registry, so that the checker's error,
 * which says what was slow, comes first.
 */
export const OVERRUN_MARGIN_MS = 500;

type HealthInit = MessageInitShape<typeof DependencyHealthSchema>;

/** What one check found. */
export interface Finding {
  readonly status: NonNullable<HealthInit["status"]>;
  readonly message: string;
  /** What went wrong, as one sentence that is safe to show to anyone. */
  readonly error?: string;
  /** Stable UPPER_SNAKE_CASE code for `error`. */
  readonly errorCode?: string;
  readonly accessMode?: NonNullable<HealthInit["accessMode"]>;
  readonly circuitState?: NonNullable<HealthInit["circuitState"]>;
  readonly poolInfo?: MessageInitShape<typeof ConnectionPoolInfoSchema>;
}

/** Measures one check and makes its result. */
export class CheckTimer {
  readonly #clock: WallClock;
  readonly #startedAt: number;

  constructor(clock: WallClock) {
    this.#clock = clock;
    this.#startedAt = clock.now();
  }

  /** The result of a check that ends now. */
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
