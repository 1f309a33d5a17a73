import {
  AccessMode,
  CircuitState,
  type DependencyHealth,
  DependencyType,
  ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
import { abortable } from "../time.ts";
import {
  type CircuitState as DatabaseCircuitState,
  DatabaseError,
  type DatabaseErrorCode,
  type DatabaseManager,
  describeShortage,
  type PoolStats,
} from "../database/mod.ts";
import {
  CheckTimer,
  type DependencyChecker,
  type DependencyTarget,
  type Finding,
  OVERRUN_MARGIN_MS,
} from "./checker.ts";
import { systemWallClock, type WallClock } from "./clock.ts";

/** The part of the database manager that the checker uses. */
export type DatabaseProbe = Pick<
  DatabaseManager,
  | "name"
  | "config"
  | "state"
  | "ping"
  | "poolStats"
  | "accessMode"
  | "outage"
  | "writesBlockedBy"
  | "connectError"
  | "connectionBudget"
  | "circuit"
  | "onStateChange"
>;

/** The database that a {@linkcode PostgreSQLChecker} checks. */
export interface PostgreSQLCheckerOptions {
  /** The manager of its connections. */
  readonly database: DatabaseProbe;
  /** Default: the system clock. */
  readonly clock?: WallClock;
}

/**
 * Checks the database through the main pool (specification 001, story 3 and decision log). While the
 * circuit is open it reports the known outage without a query: the recovery already probes the
 * database, and health checks must not add logins that the database rejects.
 *
 * It always reports the pool statistics, because an operator needs them most during a failure; the
 * sketch in the specification omits them then.
 */
export class PostgreSQLChecker implements DependencyChecker {
  /** `<name>-primary`, with the name of the manager. Default: `postgresql-primary`. */
  readonly name: string;
  /** Always DATABASE. */
  readonly type: DependencyType = DependencyType.DATABASE;
  /** Always true. */
  readonly critical = true;
  /** Address of the first host, and the database. */
  readonly target: DependencyTarget;
  /** The ping timeout, plus a margin. */
  readonly timeoutMs: number;
  readonly #database: DatabaseProbe;
  readonly #clock: WallClock;

  /** Starts nothing: the registry calls `check`. */
  constructor({ database, clock = systemWallClock }: PostgreSQLCheckerOptions) {
    const { hosts: [primary], database: databaseName, schema, pingTimeoutMs } = database.config;
    this.target = {
      hostname: primary?.host ?? "",
      port: primary?.port ?? 0,
      protocol: "postgresql",
      databaseName,
      schemaName: schema,
    };
    this.name = `${database.name}-primary`;
    this.timeoutMs = pingTimeoutMs + OVERRUN_MARGIN_MS;
    this.#database = database;
    this.#clock = clock;
  }

  /**
   * Pings the database.
   *
   * @throws An error of the ping other than {@linkcode DatabaseError}, and the reason of the signal.
   */
  async check(signal: AbortSignal): Promise<DependencyHealth> {
    const timer = new CheckTimer(this.#clock);
    const finding = await this.#ping(signal);
    return timer.result(this, {
      ...finding,
      circuitState: CIRCUIT_STATES[this.#database.circuit.state],
      poolInfo: poolInfo(this.#database.poolStats()),
    });
  }

  /** Calls the listener after each change of the state of the database. */
  onChange(listener: () => void): () => void {
    return this.#database.onStateChange(() => listener());
  }

  async #ping(signal: AbortSignal): Promise<Finding> {
    try {
      const timeoutMs = this.#database.config.pingTimeoutMs;
      await this.#database.ping({ signal, timeoutMs });
    } catch (error) {
      if (!(error instanceof DatabaseError)) throw error;
      if (error.code === "ACQUIRE_TIMEOUT") return exhausted(error);
      if (this.#database.accessMode !== "READ_ONLY") return failed(this.#database, error);
    }
    await this.#settled(signal);
    // Even if a read host serves reads: an instance that is not ready must not replace one that is.
    const isPrepared = this.#database.state !== "connecting";
    return FINDINGS[isPrepared ? this.#database.accessMode : "UNAVAILABLE"](this.#database);
  }

  /**
   * Right after the start, the server responds before the schema has been checked. That is no outage,
   * so the check waits until the first attempt has completed, for at most the ping timeout.
   */
  async #settled(signal: AbortSignal): Promise<void> {
    if (this.#database.state !== "connecting") return;
    const { promise, resolve } = Promise.withResolvers<void>();
    // A read host that becomes available is a change too, but not of the primary.
    const unsubscribe = this.#database.onStateChange(({ state }) => {
      if (state !== "connecting") resolve();
    });
    const timer = this.#clock.setTimeout(resolve, this.#database.config.pingTimeoutMs);
    try {
      await abortable(promise, signal);
    } finally {
      this.#clock.clearTimeout(timer);
      unsubscribe();
    }
  }
}

const CIRCUIT_STATES: Readonly<Record<DatabaseCircuitState, CircuitState>> = {
  closed: CircuitState.CLOSED,
  open: CircuitState.OPEN,
  "half-open": CircuitState.HALF_OPEN,
};

const NOT_PREPARED = "Database schema is not ready";

/**
 * The message also reports problems that do not affect the status while requests are served: an
 * exceeded connection budget, and new connections that fail.
 */
function healthy({ connectionBudget, connectError }: DatabaseProbe): string {
  const shortage = connectionBudget && describeShortage(connectionBudget);
  const refusal = connectError && `new connections fail: ${connectError.code}`;
  return ["Database connection healthy", shortage, refusal].filter(Boolean).join("; ");
}

/** The result of a successful ping, by access mode. */
const FINDINGS: Readonly<
  Record<DatabaseManager["accessMode"], (database: DatabaseProbe) => Finding>
> = {
  READ_WRITE: (database) => ({
    status: ServiceStatus.HEALTHY,
    message: healthy(database),
    accessMode: AccessMode.READ_WRITE,
  }),
  READ_ONLY: ({ outage, writesBlockedBy }) => ({
    status: ServiceStatus.DEGRADED,
    message: outage !== undefined
      ? "Primary database is unavailable: a standby serves reads, writes are rejected"
      : writesBlockedBy !== undefined
      ? "Database schema is dirty: writes are rejected"
      : "Database is read-only: writes are rejected",
    error: (outage ?? writesBlockedBy)?.publicMessage ??
      "The database is read-only.",
    errorCode: (outage ?? writesBlockedBy)?.code ?? "READ_ONLY",
    accessMode: AccessMode.READ_ONLY,
  }),
  // The server responds, but the manager runs no query until the schema is ready.
  UNAVAILABLE: ({ outage }) => ({
    status: ServiceStatus.UNHEALTHY,
    message: outage === undefined ? NOT_PREPARED : failureMessage(outage.code),
    error: outage?.publicMessage ?? "The database migrations have not completed.",
    errorCode: outage?.code ?? "NOT_PREPARED",
    accessMode: AccessMode.UNAVAILABLE,
  }),
};

/**
 * All connections are in use, so the ping did not reach the database. That is overload, not an outage,
 * and without this instance the others would have even more load.
 */
function exhausted({ code, publicMessage }: DatabaseError): Finding {
  return {
    status: ServiceStatus.DEGRADED,
    message: "Database connection pool exhausted",
    error: publicMessage,
    errorCode: code,
  };
}

function failureMessage(code: DatabaseErrorCode): string {
  if (code === "STOPPED_BY_OPERATOR") return "Database access is stopped by an operator";
  return code.startsWith("MIGRATION_") ? NOT_PREPARED : "Database connection failed";
}

function failed({ outage }: DatabaseProbe, error: DatabaseError): Finding {
  const { code, publicMessage } = outage ?? error;
  return {
    status: ServiceStatus.UNHEALTHY,
    message: failureMessage(code),
    error: publicMessage,
    errorCode: code,
    accessMode: AccessMode.UNAVAILABLE,
  };
}

const MAX_INT32 = 2 ** 31 - 1;

function poolInfo(pool: PoolStats): NonNullable<Finding["poolInfo"]> {
  return {
    maxConnections: pool.max,
    activeConnections: pool.inUse,
    idleConnections: pool.idle,
    // int32 in the contract, because JSON has no 64-bit numbers; it saturates.
    waitCount: Math.min(pool.waitCount, MAX_INT32),
    waiting: pool.waiting,
    waitDurationMs: pool.waitDurationMs,
    utilization: pool.max > 0 ? pool.inUse / pool.max : 0,
  };
}
