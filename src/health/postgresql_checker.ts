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
import { CheckTimer, type DependencyChecker, type Finding, OVERRUN_MARGIN_MS } from "./checker.ts";
import { systemWallClock, type WallClock } from "./clock.ts";

/** What the checker needs of the database manager. */
export type DatabaseProbe = Pick<
  DatabaseManager,
  | "config"
  | "state"
  | "ping"
  | "poolStats"
  | "accessMode"
  | "lastError"
  | "writeRefusal"
  | "openRefusal"
  | "connectionBudget"
  | "circuit"
  | "onStateChange"
>;

/** Settings of a {@linkcode PostgreSQLChecker}. */
export interface PostgreSQLCheckerOptions {
  readonly database: DatabaseProbe;
  readonly clock?: WallClock;
}

/**
 * Checks the database through the main pool (specification 001, story 3 and decision log). While
 * the circuit is open it reports the outage that is known: the recovery asks often enough, and
 * health checks must not hammer a database that rejects the login.
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

  /**
   * @throws Whatever the ping throws that is not a {@linkcode DatabaseError}, and the signal's reason
   * when it aborts a wait.
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
    // Whatever a read host can do meanwhile: a service that is not prepared must not replace one that is.
    const isPrepared = this.#database.state !== "connecting";
    return FINDINGS[isPrepared ? this.#database.accessMode : "UNAVAILABLE"](this.#database);
  }

  /**
   * Right after the start the server answers before the schema has been looked at. That is no
   * outage, so the check waits for the end of the first attempt, for as long as a ping may take.
   */
  async #settled(signal: AbortSignal): Promise<void> {
    if (this.#database.state !== "connecting") return;
    const { promise, resolve } = Promise.withResolvers<void>();
    // A read host that is found meanwhile is a change too, but says nothing of the primary.
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

const NOT_PREPARED = "Database is not prepared for use";

/**
 * What is no fault yet, while requests are served, is told of and changes no status: connections
 * that would not fit, and new ones that are refused.
 */
function healthy({ connectionBudget, openRefusal }: DatabaseProbe): string {
  const shortage = connectionBudget && describeShortage(connectionBudget);
  const refusal = openRefusal && `new connections are refused: ${openRefusal.code}`;
  return ["Database connection healthy", shortage, refusal].filter(Boolean).join("; ");
}

/** What an answer of the database means in each access mode. */
const FINDINGS: Readonly<
  Record<DatabaseManager["accessMode"], (database: DatabaseProbe) => Finding>
> = {
  READ_WRITE: (database) => ({
    status: ServiceStatus.HEALTHY,
    message: healthy(database),
    accessMode: AccessMode.READ_WRITE,
  }),
  READ_ONLY: ({ lastError, writeRefusal }) => ({
    status: ServiceStatus.DEGRADED,
    message: lastError !== undefined
      ? "Primary database is unavailable: reads go to a standby, writes are refused"
      : writeRefusal !== undefined
      ? "Database schema is dirty: writes are refused"
      : "Database is read-only: writes are refused",
    error: (lastError ?? writeRefusal)?.publicMessage ??
      "The database accepts no writes at the moment.",
    errorCode: (lastError ?? writeRefusal)?.code ?? "READ_ONLY",
    accessMode: AccessMode.READ_ONLY,
  }),
  // The server answers, but the manager lets no query through until the migrations have run.
  UNAVAILABLE: ({ lastError }) => ({
    status: ServiceStatus.UNHEALTHY,
    message: lastError === undefined ? NOT_PREPARED : failureMessage(lastError.code),
    error: lastError?.publicMessage ?? "The database migrations have not ended yet.",
    errorCode: lastError?.code ?? "NOT_PREPARED",
    accessMode: AccessMode.UNAVAILABLE,
  }),
};

/**
 * Requests hold every connection, so the ping never reached the database: that is too much load,
 * not an outage, and taking the service away would move the load to its replicas.
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
  if (code === "STOPPED_BY_OPERATOR") return "Use of the database is stopped by an operator";
  return code.startsWith("MIGRATION_") ? NOT_PREPARED : "Database connection failed";
}

function failed({ lastError }: DatabaseProbe, error: DatabaseError): Finding {
  const { code, publicMessage } = lastError ?? error;
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
    // The contract has JSON numbers only, so no 64-bit counter; a full one stays full.
    waitCount: Math.min(pool.waitCount, MAX_INT32),
    waiting: pool.waiting,
    waitDurationMs: pool.waitDurationMs,
    utilization: pool.max > 0 ? pool.inUse / pool.max : 0,
  };
}
