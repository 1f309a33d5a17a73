import type { DatabaseConfig } from "../../config/mod.ts";
import { type Access, type AccessMode, accessModeOf, route } from "../access_mode.ts";
import type { CircuitBreaker } from "../circuit_breaker/mod.ts";
import { Lane, type LaneOptions } from "./lane.ts";
import type { DatabaseObserver, PoolName } from "../observer.ts";
import type { Lend } from "../operation/time_limit.ts";
import type { CloseOptions, PoolStats } from "../pool/mod.ts";
import { readLaneConfig } from "./read_hosts.ts";

/** Settings of {@linkcode Lanes}. */
export interface LanesOptions extends Omit<LaneOptions, "name" | "config" | "observer"> {
  readonly observer: DatabaseObserver | undefined;
}

/** What operators see of a circuit breaker, and may do with it. */
export type OperatorCircuit = Pick<
  CircuitBreaker,
  "state" | "snapshot" | "onTransition" | "forceOpen" | "reset"
>;

/** One pool, and the circuit breaker that lets calls through to it. */
export interface LaneView {
  stats(): PoolStats;
  readonly circuit: OperatorCircuit;
}

/**
 * The ways to the servers of one database, and which of them an operation takes: the primary's
 * and, with read hosts (`DB_READ_HOSTS`), that of reads while the primary is away.
 */
export class Lanes {
  readonly primary: Lane;
  readonly #read: Lane | undefined;
  readonly #lenders: Readonly<Record<Access | "any", Lend>>;

  /** `prepare` and `inspect` are for the primary alone: a read host has what the primary has. */
  constructor(config: DatabaseConfig, options: LanesOptions) {
    const { observer, prepare, inspect, ...shared } = options;
    this.primary = new Lane({
      ...shared,
      name: "primary",
      config,
      prepare,
      inspect,
      observer: observer?.pool("primary"),
    });
    this.#read = config.readHosts.length === 0 ? undefined : new Lane({
      ...shared,
      name: "read",
      config: readLaneConfig(config),
      observer: observer?.pool("read"),
    });
    const lender = (access?: Access): Lend => (use, signal) => this.route(access).lend(use, signal);
    this.#lenders = { any: lender(), read: lender("read"), write: lender("write") };
  }

  get accessMode(): AccessMode {
    return accessModeOf(this.primary, this.#read);
  }

  /** Each lane as operators and metrics see it. */
  get views(): ReadonlyMap<PoolName, LaneView> {
    const views = new Map<PoolName, LaneView>([["primary", this.primary]]);
    if (this.#read !== undefined) views.set("read", this.#read);
    return views;
  }

  /**
   * The lane of an operation.
   *
   * @throws {DatabaseError} `READ_ONLY`, as {@linkcode route}.
   */
  route(access: Access | undefined): Lane {
    return route(access, this.primary, this.#read);
  }

  /** Where operations get their connections; each time on the lane that is right at that time. */
  lender(access: Access | undefined): Lend {
    return this.#lenders[access ?? "any"];
  }

  /** Begins to look for the servers in the background. */
  start(): void {
    this.primary.start();
    this.#read?.start();
  }

  /** As `DatabaseManager.close`. */
  async close(options: CloseOptions): Promise<void> {
    await Promise.all([this.primary.close(options), this.#read?.close(options)]);
  }
}
