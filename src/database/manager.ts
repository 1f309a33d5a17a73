import type { DatabaseConfig } from "../config/mod.ts";
import { type Clock, systemClock } from "./clock.ts";
import { connect } from "./connect.ts";
import type { Connection } from "./connection.ts";
import { Deadline } from "./deadline.ts";
import type { Parameter, Sql } from "./driver.ts";
import { abortReason, classify, DatabaseError } from "./errors.ts";
import { type Logger, silentLogger } from "./logger.ts";
import { type CloseOptions, Pool } from "./pool.ts";
import type { PoolStats } from "./pool_stats.ts";
import { Recovery } from "./recovery.ts";
import { type DatabaseState, StateHolder, type StateListener } from "./state.ts";

/** Settings of a {@linkcode DatabaseManager} beside the configuration. */
export interface DatabaseManagerOptions {
  /** Gets the events `database.connected`, `.connect_failed`, `.lost`, `.recovered` and `.closed`. */
  readonly logger?: Logger | undefined;
  /**
   * Runs when the database answers for the first time, before the state becomes
   * `connected`; migrations, for instance. When it fails it is tried again.
   */
  readonly prepare?: ((signal: AbortSignal) => Promise<void>) | undefined;
  readonly clock?: Clock | undefined;
  /** From 0 up to 1; for jitter. */
  readonly random?: (() => number) | undefined;
}

/** Settings of a single operation. */
export interface OperationOptions {
  /** Aborting it ends the wait for a connection, or destroys the connection that is in use. */
  readonly signal?: AbortSignal | undefined;
}

export interface PingOptions extends OperationOptions {
  /** For all of it, the wait for a connection included; default: the configured ping timeout. */
  readonly timeoutMs?: number | undefined;
}

/** Whether the database takes writes at the moment. */
export type AccessMode = "READ_WRITE" | "READ_ONLY";

export interface PingResult {
  readonly responseTimeMs: number;
  readonly accessMode: AccessMode;
}

/** Runs the statement of a template string. */
export type QueryTag = <Row extends object>(
  strings: TemplateStringsArray,
  ...parameters: readonly Parameter[]
) => Promise<readonly Row[]>;

/**
 * Keeps the service connected to its database: a pool of connections, a state
 * that tells whether the database can be used, and recovery without traffic.
 *
 * While it is `disconnected`, queries fail at once with the error of the outage;
 * only `ping` and the recovery itself try to connect.
 *
 * Specification: 001, "Database Connection Manager".
 *
 * ```ts ignore
 * await using database = new DatabaseManager(config.database, { logger });
 * database.start();
 * const rows = await database.query<{ id: string }>`select id from account where id = ${id}`;
 * ```
 */
export class DatabaseManager implements AsyncDisposable {
  readonly config: DatabaseConfig;
  readonly #prepare: ((signal: AbortSignal) => Promise<void>) | undefined;
  readonly #clock: Clock;
  readonly #state: StateHolder;
  readonly #pool: Pool<Connection>;
  readonly #lifetime = new AbortController();
  readonly #recovery: Recovery;
  #verification: Promise<void> | undefined;
  #isPrepared: boolean;

  constructor(config: DatabaseConfig, options: DatabaseManagerOptions = {}) {
    const { logger = silentLogger, prepare, clock = systemClock, random = Math.random } = options;
    this.config = config;
    this.#prepare = prepare;
    this.#isPrepared = prepare === undefined;
    this.#clock = clock;
    this.#state = new StateHolder(logger, () => clock.now());
    this.#pool = new Pool({
      open: (signal) => connect(config, { signal, clock }),
      maxOpen: config.maxConnections,
      maxIdle: config.maxIdleConnections,
      maxLifetimeMs: config.connectionMaxLifetimeMs,
      maxIdleTimeMs: config.connectionMaxIdleTimeMs,
      acquireTimeoutMs: config.acquireTimeoutMs,
      onIdleClosed: () => this.#verify(),
      clock,
      random,
    });
    this.#recovery = new Recovery({
      attempt: (signal) => this.#attempt(signal),
      isNeeded: () => this.state === "disconnected",
      onFailure: (error) => this.#state.failed(error),
      initialDelayMs: config.retryInitialDelayMs,
      maxDelayMs: config.retryMaxDelayMs,
      clock,
      random,
    });
  }

  get state(): DatabaseState {
    return this.#state.state;
  }

  /** Why the database cannot be used; undefined while it can. */
  get lastError(): DatabaseError | undefined {
    return this.#state.error;
  }

  /** When the database was reached, the last time it came back; undefined while it is lost. */
  get connectedAt(): Date | undefined {
    return this.#state.connectedAt;
  }

  /** Calls the listener at once on every change of the state. Call the result to stop that. */
  onStateChange(listener: StateListener): () => void {
    return this.#state.subscribe(listener);
  }

  /** Begins to connect in the background. Never throws: the database may come later. */
  start(): void {
    if (this.state !== "connected") this.#recovery.start();
  }

  /** A frozen snapshot of the pool. */
  poolStats(): PoolStats {
    return this.#pool.stats();
  }

  /**
   * Runs one statement on a connection of the pool.
   *
   * ```ts ignore
   * await database.query<Account>`select * from account where id = ${id}`;
   * await database.query({ signal })<Account>`select * from account`;
   * ```
   *
   * @throws {DatabaseError} As {@linkcode DatabaseManager.withConnection}.
   */
  query(options: OperationOptions): QueryTag;
  query<Row extends object>(
    strings: TemplateStringsArray,
    ...parameters: readonly Parameter[]
  ): Promise<readonly Row[]>;
  query(
    first: OperationOptions | TemplateStringsArray,
    ...parameters: readonly Parameter[]
  ): QueryTag | Promise<readonly object[]> {
    if (isTemplate(first)) return this.#run({}, first, parameters);
    return <Row extends object>(strings: TemplateStringsArray, ...values: readonly Parameter[]) =>
      this.#run<Row>(first, strings, values);
  }

  /**
   * Lends a connection to `work`. Everything that `work` starts on it must have
   * ended when its promise settles, transactions included.
   *
   * @throws {DatabaseError} The error of the outage while disconnected, what
   * acquiring throws (`ACQUIRE_TIMEOUT`, connect errors, `ABORTED`), or what a
   * statement failed with. Errors of `work` itself are passed on.
   */
  async withConnection<T>(
    work: (sql: Sql, connection: Connection) => T | Promise<T>,
    { signal }: OperationOptions = {},
  ): Promise<T> {
    this.#assertUsable();
    try {
      return await this.#lend(work, signal);
    } catch (error) {
      if (error instanceof DatabaseError && this.#isSuspicious(error)) this.#verify();
      throw error;
    }
  }

  /**
   * Asks the database whether it is there, now, through the pool. Ends in time
   * also when the server is frozen. What it finds becomes the state.
   *
   * @throws {DatabaseError} `PING_TIMEOUT`, `ACQUIRE_TIMEOUT` when every
   * connection is in use, connect errors, or `ABORTED`.
   */
  async ping(
    { signal, timeoutMs = this.config.pingTimeoutMs }: PingOptions = {},
  ): Promise<PingResult> {
    try {
      const result = await this.#ping(timeoutMs, signal);
      if (this.#isPrepared) {
        this.#recovery.stop();
        this.#state.connected();
      }
      return result;
    } catch (error) {
      const failure = classify(error);
      if (failure.isOutage) this.#failed(failure);
      throw failure;
    }
  }

  /**
   * Stops recovery, rejects waiters and closes every connection; the ones in use
   * when they come back, or when the time is over.
   */
  async close(options: CloseOptions = {}): Promise<void> {
    this.#state.closing();
    this.#lifetime.abort(new DatabaseError("POOL_CLOSED"));
    await this.#pool.close(options);
    await this.#recovery.close();
    await this.#verification;
    this.#state.closed();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #run<Row extends object>(
    options: OperationOptions,
    strings: TemplateStringsArray,
    parameters: readonly Parameter[],
  ): Promise<readonly Row[]> {
    return await this.withConnection((sql) => sql<Row[]>(strings, ...parameters), options);
  }

  #assertUsable(): void {
    if (this.#state.isOver) throw new DatabaseError("POOL_CLOSED");
    const { error } = this.#state;
    if (error === undefined || this.state !== "disconnected") return;
    const { code, message, sqlState } = error;
    throw new DatabaseError(code, { message, sqlState });
  }

  async #lend<T>(
    work: (sql: Sql, connection: Connection) => T | Promise<T>,
    signal: AbortSignal | undefined,
    timeoutMs?: number,
  ): Promise<T> {
    if (signal?.aborted) throw abortReason(signal);
    const connection = this.#pool.tryAcquire() ?? await this.#pool.acquire({ signal, timeoutMs });
    const onAbort = () => connection.destroy(abortReason(signal));
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await work(connection.sql, connection);
    } catch (error) {
      throw connection.explain(error);
    } finally {
      signal?.removeEventListener("abort", onAbort);
      this.#pool.release(connection);
    }
  }

  async #ping(timeoutMs: number, signal: AbortSignal | undefined): Promise<PingResult> {
    const startedAt = this.#clock.now();
    let isAsking = false;
    using deadline = new Deadline({
      timeoutMs,
      signal,
      clock: this.#clock,
      onTimeout: () => this.#pingTimeout(timeoutMs, isAsking),
    });
    const ask = () =>
      this.#lend(
        (_, connection) => {
          isAsking = true;
          return connection.role();
        },
        deadline.signal,
        Infinity,
      );
    const { readOnly } = await ask().catch((error) => {
      // An idle connection can have died unnoticed: that is no news of the database.
      if (classify(error).code !== "CONNECTION_LOST" || deadline.signal.aborted) throw error;
      return ask();
    });
    return {
      responseTimeMs: this.#clock.now() - startedAt,
      accessMode: readOnly ? "READ_ONLY" : "READ_WRITE",
    };
  }

  #pingTimeout(timeoutMs: number, isAsking: boolean): DatabaseError {
    const { inUse, max } = this.poolStats();
    if (isAsking || inUse < max) {
      return new DatabaseError("PING_TIMEOUT", { message: `No answer within ${timeoutMs} ms` });
    }
    // A pool that is merely busy must not look like a database that is gone.
    return new DatabaseError("ACQUIRE_TIMEOUT", {
      message: `All ${max} connections were in use for ${timeoutMs} ms (DB_MAX_CONNECTIONS)`,
    });
  }

  #isSuspicious(error: DatabaseError): boolean {
    if (error.code === "ACQUIRE_TIMEOUT") return this.poolStats().connecting > 0;
    return error.isOutage;
  }

  /** One connection's end can be its own: a ping tells whether the database is lost. */
  #verify(): void {
    if (this.#verification !== undefined || this.state !== "connected") return;
    this.#verification = this.ping({ signal: this.#lifetime.signal })
      .then(() => {}, () => {})
      .finally(() => this.#verification = undefined);
  }

  #failed(error: DatabaseError): void {
    if (this.state === "connected") this.#pool.reset();
    this.#state.failed(error);
    this.#recovery.start();
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    await this.#ping(this.config.connectTimeoutMs + this.config.pingTimeoutMs, signal);
    if (!this.#isPrepared) {
      await this.#prepare?.(signal);
      this.#isPrepared = true;
    }
    this.#state.connected();
  }
}

function isTemplate(value: OperationOptions | TemplateStringsArray): value is TemplateStringsArray {
  return Array.isArray(value);
}
