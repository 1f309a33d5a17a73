import {
  ConfigError,
  type DatabaseConfig,
  databaseConfig,
  type DatabaseOverrides,
  type Secret,
} from "../config/mod.ts";
import type { AccessMode } from "./access_mode.ts";
import { BudgetCheck, type ConnectionBudget } from "./budget.ts";
import type { Lookup } from "./connection/socket.ts";
import type { Rows, SqlValue } from "./connection/sql.ts";
import { DatabaseError } from "./errors.ts";
import { type Logger, namedLogger, silentLogger } from "./logger.ts";
import type { PingOptions } from "./managed_pool/ping.ts";
import { type OperatorCircuit, type PoolView, Routing } from "./managed_pool/routing.ts";
import type { EnsureSchema } from "./managed_pool/server_state.ts";
import type { DatabaseObserver, OperationName, PoolName } from "./observer.ts";
import {
  type OperationOptions,
  runOperation,
  runStatement,
  type Work,
} from "./operation/operation.ts";
import { runTransaction, type TransactionOptions } from "./operation/transaction.ts";
import type { Transaction } from "./operation/transaction_scope.ts";
import type { CloseOptions, PoolStats } from "./pool/mod.ts";
import { type DatabaseState, StateHolder, type StateListener } from "./state.ts";
import { type Clock, systemClock } from "../time.ts";

/** Within the 30 s that specification 001 gives to a graceful shutdown. */
const DISPOSE_TIMEOUT_MS = 25_000;

/** Name of a manager that is given none. */
export const DEFAULT_DATABASE_NAME = "postgresql";

/** What a {@linkcode DatabaseManager} works with, beside its configuration. All of it is optional. */
export interface DatabaseManagerOptions {
  /**
   * Tells this manager from others of the process: it is the field `database` of its log records,
   * the label `database` of its metrics, an attribute of its spans, and the name of its health
   * check is `<name>-primary`. Letters, digits, `-` and `_`, at most 63. Default: `postgresql`.
   */
  readonly name?: string | undefined;
  /**
   * Gets the events `database.connected`, `.connect_failed`, `.lost`, `.recovered`, `.read_only`,
   * `.read_write`, `.unavailable`, `.connection_budget`, `.connection_budget_unknown`, `.no_pooler`,
   * `.open_refused`, `.pool_exhausted`, `.pool_relieved`, `.leak`, `.transaction_left_open`,
   * `.listener_failed` and `.closed`. Default: they are dropped.
   */
  readonly logger?: Logger | undefined;
  /**
   * Makes the schema ready when the database is reached for the first time, for instance by
   * migrations. Calls fail with `NOT_PREPARED` until it has resolved; when it rejects it is tried
   * again. When it resolves with an error, writes are blocked by that error, the access mode is
   * `READ_ONLY`, and it is called again from time to time. Default: the schema needs nothing.
   */
  readonly ensureSchema?: EnsureSchema | undefined;
  /** Hears of operations and of what the pools do, for metrics and traces. */
  readonly observer?: DatabaseObserver | undefined;
  /** Called with each password that is read from `DB_PASSWORD_FILE`, for logs that redact it. */
  readonly onPassword?: ((password: Secret) => void) | undefined;
  /** Resolves host names. Default: the operating system. */
  readonly lookup?: Lookup | undefined;
  /** Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
  /** From 0 up to 1; for jitter. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** What a ping of the manager found. */
export interface PingResult {
  /** From the wait for a connection to the answer. */
  readonly responseTimeMs: number;
  /** What the database allows, now that it has answered. */
  readonly accessMode: AccessMode;
}

/** Runs the statement of a template string. */
export type QueryTag = <Row extends object = Record<string, unknown>>(
  strings: TemplateStringsArray,
  ...values: readonly SqlValue[]
) => Promise<Rows<Row>>;

/**
 * Keeps the service connected to its database: a pool of connections, a circuit breaker that decides
 * whether a call may use it, and a recovery that needs no traffic.
 *
 * While the circuit is open, calls fail at once with `CIRCUIT_OPEN`, and only the recovery tries to
 * connect. The manager's state follows the circuit.
 *
 * With read hosts (`DB_READ_HOSTS`) there is a second pool with a circuit of its own, for reads while
 * the primary is away.
 *
 * Specification: 001, "Database Connection Manager".
 *
 * ```ts
 * import process from "node:process";
 * import { DatabaseManager } from "@treasury-service/kit/database";
 *
 * await using database = new DatabaseManager(process.env.DATABASE_URL ?? "", {
 *   maxConnections: 10,
 *   logger: console,
 * });
 * database.start();
 * await database.query`create table if not exists account (id int primary key, balance int)`;
 * await database.query`insert into account values (1, 100), (2, 0)`;
 * await database.transaction(async (tx) => {
 *   await tx`update account set balance = balance - ${40} where id = ${1}`;
 *   await tx`update account set balance = balance + ${40} where id = ${2}`;
 * });
 * const rows = await database.query<{ balance: number }>`select balance from account order by id`;
 * console.log(rows); // [{ balance: 60 }, { balance: 40 }]
 * ```
 */
export class DatabaseManager implements AsyncDisposable {
  /** Its name in logs, metrics, spans and health. */
  readonly name: string;
  /** What it was made with. */
  readonly config: DatabaseConfig;
  readonly #observer: DatabaseObserver | undefined;
  readonly #state: StateHolder;
  readonly #budget: BudgetCheck;
  readonly #routing: Routing;
  readonly #clock: Clock;
  readonly #random: () => number;
  #ending: "closing" | "closed" | undefined;

  /** With a whole configuration, such as that of `loadConfig`. */
  constructor(config: DatabaseConfig, options?: DatabaseManagerOptions);
  /**
   * With a connection URL. Options that are fields of a `DatabaseConfig` override the URL and the
   * defaults, as {@linkcode databaseConfig} says.
   *
   * @throws {ConfigError} Names each option that is wrong, or `url`. It shows nothing of the URL.
   */
  constructor(url: string | URL, options?: DatabaseManagerOptions & DatabaseOverrides);
  constructor(
    first: DatabaseConfig | string | URL,
    options: DatabaseManagerOptions & DatabaseOverrides = {},
  ) {
    const {
      name = DEFAULT_DATABASE_NAME,
      logger: unnamedLogger = silentLogger,
      clock = systemClock,
      random = Math.random,
      observer,
      ensureSchema,
      lookup,
      onPassword,
      ...overrides
    } = options;
    checkName(name);
    const logger = namedLogger(unnamedLogger, name);
    const isUrl = typeof first === "string" || first instanceof URL;
    const config = isUrl ? databaseConfig(first, overrides) : first;
    this.name = name;
    const connectOptions = { clock, lookup, onPassword };
    this.config = config;
    this.#observer = observer;
    this.#clock = clock;
    this.#random = random;
    this.#state = new StateHolder(logger, () => clock.now());
    this.#budget = new BudgetCheck(config, logger);
    this.#routing = new Routing({ config, connectOptions, observer, logger, clock, random }, {
      ensureSchema,
      inspect: (connection, signal) => this.#budget.run(connection, signal),
      onChange: () => this.#update(),
    });
  }

  /** Whether the primary is connected, and whether the manager is closing. */
  get state(): DatabaseState {
    return this.#state.status.state;
  }

  /** What the database allows at the moment, on the primary or a read host. */
  get accessMode(): AccessMode {
    return this.#state.status.accessMode;
  }

  /** Why the primary is unavailable; undefined while it is available, and before the first attempt. */
  get outage(): DatabaseError | undefined {
    return this.#routing.primary.availability.outage;
  }

  /** When the database was reached, the last time it came back; undefined while it is lost. */
  get connectedAt(): Date | undefined {
    return this.#state.connectedAt;
  }

  /** Why nothing may be written although the server takes writes: the schema is dirty. */
  get writesBlockedBy(): DatabaseError | undefined {
    return this.#routing.primary.availability.writesBlockedBy;
  }

  /**
   * Why the primary takes no new connection, for instance because of a changed password, while
   * those that are open work. Undefined again as soon as one could be opened.
   */
  get connectError(): DatabaseError | undefined {
    return this.#routing.primary.connectError;
  }

  /**
   * Whether the primary allows what all instances of the service may open, as of the last time that
   * the database was reached or recovered. Undefined before that, and with `DB_POOLER=transaction`.
   */
  get connectionBudget(): ConnectionBudget | undefined {
    return this.#budget.budget;
  }

  /** The primary's circuit breaker. */
  get circuit(): OperatorCircuit {
    return this.#routing.primary.circuit;
  }

  /**
   * Calls the listener at once on every change of state or access mode. What it throws is logged.
   *
   * @returns Ends that.
   */
  onStateChange(listener: StateListener): () => void {
    return this.#state.subscribe(listener);
  }

  /** Starts to connect in the background. Never throws: the database may come later. */
  start(): void {
    this.#routing.start();
  }

  /** A frozen snapshot of the primary's pool. */
  poolStats(): PoolStats {
    return this.#routing.primary.stats();
  }

  /** The pools and their circuits; `read` only with read hosts (`DB_READ_HOSTS`). */
  get pools(): ReadonlyMap<PoolName, PoolView> {
    return this.#routing.pools;
  }

  /**
   * Runs one statement on a connection of the pool.
   *
   * ```ts
   * import process from "node:process";
   * import { DatabaseManager } from "@treasury-service/kit/database";
   *
   * await using database = new DatabaseManager(process.env.DATABASE_URL ?? "");
   * database.start();
   * const [sum] = await database.query<{ sum: number }>`select ${1}::int + ${2}::int as sum`;
   * console.log(sum); // { sum: 3 }
   *
   * const read = database.query({ access: "read", timeoutMs: 1_000 });
   * await read<{ now: Date }>`select now()`;
   * ```
   *
   * @throws {DatabaseError} As {@linkcode DatabaseManager.withConnection}.
   */
  query(options: OperationOptions): QueryTag;
  /** As above, without options. */
  query<Row extends object = Record<string, unknown>>(
    strings: TemplateStringsArray,
    ...values: readonly SqlValue[]
  ): Promise<Rows<Row>>;
  query(
    first: OperationOptions | TemplateStringsArray,
    ...values: readonly SqlValue[]
  ): QueryTag | Promise<Rows<object>> {
    if (typeof first !== "object") throw notATemplate();
    if ("raw" in first) return this.#query(first, values);
    return <Row extends object>(strings: TemplateStringsArray, ...values: readonly SqlValue[]) =>
      this.#query<Row>(strings, values, first);
  }

  /**
   * Acquires a connection for `work`, and releases it when `work` has settled. Everything that `work`
   * starts on it must have ended by then.
   *
   * @throws {DatabaseError} `CIRCUIT_OPEN` with the outage as its cause, `READ_ONLY`, `NOT_PREPARED`,
   * what acquiring throws (`ACQUIRE_TIMEOUT`, `QUEUE_FULL`, connect errors, `ABORTED`), or what a
   * statement failed with; `COMMIT_UNKNOWN` when it may have been done, or a part of it was, and is
   * neither a `read` nor `idempotent`. `INVALID_USE` when `work` leaves a transaction open, which is
   * rolled back then. Errors of `work` itself are passed on.
   */
  withConnection<T>(
    work: Work<T>,
    options: OperationOptions = {},
  ): Promise<T> {
    const lend = this.#routing.lend(options.access);
    return this.#operation("connection", () => runOperation(lend, work, options, this.#clock));
  }

  /**
   * Runs `work` in a transaction: commits when it succeeds, rolls back when it throws. A read-only
   * transaction may go to a read host; any other fails at once while writes are refused.
   *
   * @throws {DatabaseError} As {@linkcode DatabaseManager.withConnection}; but `COMMIT_UNKNOWN` only
   * when the commit itself was lost.
   */
  transaction<T>(
    work: (tx: Transaction) => T | Promise<T>,
    options: TransactionOptions = {},
  ): Promise<T> {
    const lend = this.#routing.lend(options.readOnly === true ? "read" : "write");
    const time = { clock: this.#clock, random: this.#random };
    return this.#operation("transaction", () => runTransaction(lend, work, options, time));
  }

  /**
   * Asks the database now, through the pool, whether it answers: the primary, or a read host while
   * only that can be used. Ends in time also when the server is frozen. What it finds becomes the
   * state.
   *
   * @throws {DatabaseError} `PING_TIMEOUT`, `CIRCUIT_OPEN`, `ACQUIRE_TIMEOUT` when every connection
   * is in use, connect errors, or `ABORTED`.
   */
  ping({ signal, timeoutMs }: PingOptions = {}): Promise<PingResult> {
    return this.#operation("ping", async () => {
      const { responseTimeMs } = await this.#routing.ping({ signal, timeoutMs });
      return { responseTimeMs, accessMode: this.accessMode };
    });
  }

  /**
   * Stops the recovery, rejects callers that wait, and closes every connection: idle ones at once,
   * those in use when they are released, or when the time is over.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    this.#ending ??= "closing";
    this.#update();
    await this.#routing.close(options);
    this.#ending = "closed";
    this.#update();
  }

  /** Closes, and gives running work 25 seconds: a frozen server must not keep the process alive. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close({ timeoutMs: DISPOSE_TIMEOUT_MS });
  }

  #query<Row extends object>(
    strings: TemplateStringsArray,
    values: readonly SqlValue[],
    options?: OperationOptions,
  ): Promise<Rows<Row>> {
    const lend = this.#routing.lend(options?.access);
    // Not by `#operation`: the hot path makes no closure when nobody observes it.
    if (this.#observer === undefined) {
      return runStatement(lend, strings, values, options, this.#clock);
    }
    return this.#observer.operation(
      "query",
      () => runStatement(lend, strings, values, options, this.#clock),
    );
  }

  #operation<T>(name: OperationName, run: () => Promise<T>): Promise<T> {
    return this.#observer === undefined ? run() : this.#observer.operation(name, run);
  }

  /** State and access mode follow from the pools; this only reports them. */
  #update(): void {
    const { primary: { availability }, accessMode } = this.#routing;
    this.#state.update({
      state: this.#ending ?? availability.state,
      accessMode: this.#ending === undefined ? accessMode : "UNAVAILABLE",
      outage: availability.outage,
      writesBlockedBy: availability.writesBlockedBy,
    });
  }
}

function checkName(name: string): void {
  if (/^[a-z0-9_-]{1,63}$/i.test(name)) return;
  throw new ConfigError([{
    setting: "name",
    problem: "is not a plain name",
    allowed: "1 to 63 letters, digits, - and _",
  }]);
}

function notATemplate(): DatabaseError {
  return new DatabaseError("INVALID_USE", {
    message: "SQL must be written as a template: database.query`select …`, not query(…)",
  });
}
