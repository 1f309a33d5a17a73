import {
  AccessMode,
  type DependencyHealth,
  DependencyType,
  ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
import { DatabaseError, type DatabaseManager, type PoolStats } from "../database/mod.ts";
import { CheckTimer, type DependencyChecker, type Finding, OVERRUN_MARGIN_MS } from "./checker.ts";
import { systemWallClock, type WallClock } from "./clock.ts";

/** What the checker needs of the database manager. */
export type DatabaseProbe = Pick<
  DatabaseManager,
  "config" | "ping" | "poolStats" | "state" | "lastError" | "onStateChange"
>;

/** Settings of a {@linkcode PostgreSQLChecker}. */
export interface PostgreSQLCheckerOptions {
  readonly database: DatabaseProbe;
  readonly clock?: WallClock;
}

/**
 * Checks the database through the main pool (specification 001, story 3 and decision log).
 *
 * It reports the pool's numbers whatever the result, because an operator needs them most when
 * something is wrong; the specification's sketch leaves them out of a failure.
 */
export class PostgreSQLChecker implements DependencyChecker {
  readonly name = "postgresql-primary";
  readonly type = DependencyType.DATABASE;
  readonly critical = true;
  readonly target: DependencyChecker["target"];
  readonly timeoutMs: number;
  readonly #database: DatabaseProbe;
  readonly #clock: WallClock;

  constructor({ database, clock = systemWallClock }: PostgreSQLCheckerOptions) {
    const { hosts: [primary], database: databaseName, schema, pingTimeoutMs } = database.config;
    this.target = {
      hostname: primary?.host ?? "",
      port: primary?.port ?? 0,
      protocol: "postgresql",
      databaseName,
      schemaName: schema,
    };
    this.timeoutMs = pingTimeoutMs + OVERRUN_MARGIN_MS;
    this.#database = database;
    this.#clock = clock;
  }

  /** @throws Whatever the ping throws that is not a {@linkcode DatabaseError}. */
  async check(signal: AbortSignal): Promise<DependencyHealth> {
    const timer = new CheckTimer(this.#clock);
    const finding = await this.#ping(signal);
    return timer.result(this, { ...finding, poolInfo: poolInfo(this.#database.poolStats()) });
  }

  onChange(listener: () => void): () => void {
    return this.#database.onStateChange(() => listener());
  }

  async #ping(signal: AbortSignal): Promise<Finding> {
    try {
      const timeoutMs = this.#database.config.pingTimeoutMs;
      const { accessMode } = await this.#database.ping({ signal, timeoutMs });
      // The server answers, but the manager lets no query through until the migrations have run.
      if (this.#database.state !== "connected") return unprepared(this.#database.lastError);
      return accessMode === "READ_ONLY" ? READ_ONLY : HEALTHY;
    } catch (error) {
      if (error instanceof DatabaseError) return failed(error);
      throw error;
    }
  }
}

const HEALTHY: Finding = {
  status: ServiceStatus.HEALTHY,
  message: "Database connection healthy",
  accessMode: AccessMode.READ_WRITE,
};

const READ_ONLY: Finding = {
  status: ServiceStatus.DEGRADED,
  message: "Database is read-only: writes are refused",
  error: "The database accepts no writes at the moment.",
  errorCode: "READ_ONLY",
  accessMode: AccessMode.READ_ONLY,
};

function failed({ code, publicMessage }: DatabaseError): Finding {
  const told = { error: publicMessage, errorCode: code };
  if (code === "ACQUIRE_TIMEOUT") {
    // Requests hold every connection, so the ping never reached the database: that is too much
    // load, not an outage, and taking the service away would move the load to its replicas.
    return {
      status: ServiceStatus.DEGRADED,
      message: "Database connection pool exhausted",
      ...told,
    };
  }
  return {
    status: ServiceStatus.UNHEALTHY,
    message: "Database connection failed",
    accessMode: AccessMode.UNAVAILABLE,
    ...told,
  };
}

function unprepared(error: DatabaseError | undefined): Finding {
  return {
    status: ServiceStatus.UNHEALTHY,
    message: "Database is not prepared for use",
    error: error?.publicMessage ?? "The database migrations have not ended yet.",
    errorCode: error?.code ?? "NOT_PREPARED",
    accessMode: AccessMode.UNAVAILABLE,
  };
}

const MAX_INT32 = 2 ** 31 - 1;

function poolInfo(pool: PoolStats): NonNullable<Finding["poolInfo"]> {
  return {
    maxConnections: pool.max,
    activeConnections: pool.inUse,
    idleConnections: pool.idle,
    // The contract has JSON numbers only, so no 64-bit counter; a full one stays full.
    waitCount: Math.min(pool.waitCount, MAX_INT32),
    waiting: pool.waiting,
    waitDurationMs: pool.waitDurationMs,
    utilization: pool.max > 0 ? pool.inUse / pool.max : 0,
  };
}
