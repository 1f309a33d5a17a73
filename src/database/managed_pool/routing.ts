import type { DatabaseConfig } from "../../config/mod.ts";
import type { Access, AccessMode } from "../access_mode.ts";
import type { CircuitSnapshot, CircuitState, CircuitTransition } from "../circuit_breaker/mod.ts";
import { DatabaseError } from "../errors.ts";
import type { DatabaseObserver, PoolName } from "../observer.ts";
import type { Lend } from "../operation/time_limit.ts";
import type { CloseOptions, PoolStats } from "../pool/mod.ts";
import type { PoolContext } from "./context.ts";
import { type Availability, ManagedPool, type ManagedPoolHooks } from "./managed_pool.ts";
import type { PingOptions, ServerPing } from "./ping.ts";

/** What both pools share; each gets its own name, hosts and observer. */
export interface RoutingContext extends Omit<PoolContext, "name" | "observer"> {
  /** Gives each pool its observer. */
  readonly observer: DatabaseObserver | undefined;
}

/** A circuit breaker as operators see and control it. */
export interface OperatorCircuit {
  /** Half-open, the recovery is trying. */
  readonly state: CircuitState;
  /** A frozen snapshot: the state, why it last opened, and when the next attempt is due. */
  snapshot(): CircuitSnapshot;
  /** Calls the listener after every change of the state. Call the result to end that. */
  onTransition(listener: (transition: CircuitTransition) => void): () => void;
  /** Stops the use of the database until {@linkcode OperatorCircuit.reset}. */
  forceOpen(reason: string): void;
  /** Closes the circuit, and forgets all failures. A ping checks whether that is right. */
  reset(): void;
}

/** A pool as operators and metrics see it, with the circuit breaker in front of it. */
export interface PoolView {
  /** A frozen snapshot of the pool. */
  stats(): PoolStats;
  /** The circuit breaker that decides whether a call may use the pool. */
  readonly circuit: OperatorCircuit;
}

/**
 * Decides which pool an operation takes: the primary's or, with read hosts (`DB_READ_HOSTS`) and
 * while the primary is away, that of the read hosts.
 */
export class Routing {
  /** The pool of `DB_HOST`, which every operation takes while it can be used. */
  readonly primary: ManagedPool;
  readonly #readHosts: ManagedPool | undefined;
  readonly #lend: Readonly<Record<Access | "any", Lend>>;

  /** The hooks are for the primary, except `onChange`: a read host has what the primary has. */
  constructor(context: RoutingContext, hooks: ManagedPoolHooks) {
    const { config, observer } = context;
    const { onChange } = hooks;
    const primary = { ...context, name: "primary", observer: observer?.pool("primary") } as const;
    this.primary = new ManagedPool(primary, hooks);
    if (config.readHosts.length > 0) {
      this.#readHosts = new ManagedPool({
        ...context,
        name: "read",
        config: readHostsConfig(config),
        observer: observer?.pool("read"),
      }, { onChange });
    }
    const lend = (access?: Access): Lend => (use, signal) =>
      route(access, this.primary, this.#readHosts).lend(use, signal);
    this.#lend = { any: lend(), read: lend("read"), write: lend("write") };
  }

  /** What can be done at the moment, on the primary and the read hosts together. */
  get accessMode(): AccessMode {
    return accessModeOf(this.primary, this.#readHosts);
  }

  /** Each pool as operators and metrics see it. */
  get pools(): ReadonlyMap<PoolName, PoolView> {
    const pools = new Map<PoolName, PoolView>([["primary", this.primary]]);
    if (this.#readHosts !== undefined) pools.set("read", this.#readHosts);
    return pools;
  }

  /** Lends connections to operations; each time from the pool that is right at that time. */
  lend(access: Access | undefined): Lend {
    return this.#lend[access ?? "any"];
  }

  /**
   * Pings the primary, or a read host while only that can be used.
   *
   * @throws {DatabaseError} As {@linkcode ManagedPool.ping}.
   */
  ping(options: PingOptions): Promise<ServerPing> {
    return route("read", this.primary, this.#readHosts).ping(options);
  }

  /** Starts to connect in the background. */
  start(): void {
    this.primary.start();
    this.#readHosts?.start();
  }

  /** As `DatabaseManager.close`. */
  async close(options: CloseOptions): Promise<void> {
    await Promise.all([this.primary.close(options), this.#readHosts?.close(options)]);
  }
}

/** What decides the way of an operation. */
interface Available {
  readonly availability: Availability;
}

/** The access mode that the primary and, if there are any, the read hosts give together. */
export function accessModeOf(primary: Available, readHosts?: Available): AccessMode {
  const { isUsable, isWritable } = primary.availability;
  if (isUsable) return isWritable ? "READ_WRITE" : "READ_ONLY";
  return readHosts?.availability.isUsable === true ? "READ_ONLY" : "UNAVAILABLE";
}

/**
 * The pool that an operation takes. Reads prefer the primary too: a read host can lag behind it.
 *
 * @throws {DatabaseError} `READ_ONLY` for an operation that would write, or might, while it cannot.
 */
export function route<T extends Available>(
  access: Access | undefined,
  primary: T,
  readHosts?: T,
): T {
  const { isUsable, isWritable, writesBlockedBy, outage } = primary.availability;
  if (isUsable) {
    // The server would accept a write, so an operation that may write is rejected here.
    if (writesBlockedBy !== undefined && access !== "read") throw blocked(writesBlockedBy);
    if (access === "write" && !isWritable) throw new DatabaseError("READ_ONLY");
    return primary;
  }
  // No pool can be used: the primary's own error says why.
  if (readHosts?.availability.isUsable !== true) return primary;
  if (access === "read") return readHosts;
  // The primary may connect in a moment, so writes wait for it as they would without read hosts.
  if (outage === undefined) return primary;
  throw new DatabaseError("READ_ONLY", {
    message: "The primary is unavailable, and read hosts (DB_READ_HOSTS) accept only reads",
    cause: outage,
  });
}

function blocked(cause: DatabaseError): DatabaseError {
  return new DatabaseError("READ_ONLY", { message: `Writes are blocked: ${cause.message}`, cause });
}

/**
 * The configuration of the pool of the read hosts. Any server will do, also one that was promoted,
 * but its sessions only read. A pooler would not pass that setting on.
 */
function readHostsConfig(config: DatabaseConfig): DatabaseConfig {
  const { readHosts: hosts, pooler, options } = config;
  const readHosts: DatabaseConfig = { ...config, hosts, targetSessionAttrs: "any" };
  if (pooler !== "none") return readHosts;
  const readOnly = "-c default_transaction_read_only=on";
  return { ...readHosts, options: options === undefined ? readOnly : `${options} ${readOnly}` };
}
