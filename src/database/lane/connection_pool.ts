import type { DatabaseConfig } from "../../config/mod.ts";
import type { Clock } from "../clock.ts";
import { connect, type ConnectOptions } from "../connection/connect.ts";
import type { Connection } from "../connection/connection.ts";
import { abortable } from "../deadline.ts";
import { abortReason, classify, DatabaseError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { ExhaustionWatch } from "./exhaustion_watch.ts";
import { observeLending, observeOpening, type PoolName, type PoolObserver } from "../observer.ts";
import {
  type AcquireOptions,
  type CloseOptions,
  Pool,
  PoolError,
  type PoolOptions,
  type PoolStats,
} from "../pool/mod.ts";
import { retryDelay } from "../retry.ts";
import { StuckWatch } from "./stuck_watch.ts";

/** Where the database layer's own files are, whose frames say nothing of a leak. */
const LAYER = new URL("../", import.meta.url).href;

/** What a {@linkcode ConnectionPool} needs beside the configuration. */
export interface ConnectionPoolOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** From 0 up to 1; for jitter. */
  readonly random: () => number;
  /** Called with each new connection, before anyone gets it. */
  readonly onOpened: (connection: Connection) => void;
  /** Called when nothing of what is lent has come back for the ping timeout. */
  readonly onStuck: () => void;
  /** Called when an idle connection turns out to be dead. */
  readonly onIdleClosed: () => void;
  readonly observer: PoolObserver | undefined;
  readonly connectOptions: ConnectOptions;
  readonly name: PoolName;
}

/** Settings of one {@linkcode ConnectionPool.lend}. */
export interface LendOptions extends AcquireOptions {
  /** Told what `use` has thrown when its connection is closed by then. */
  readonly onLost?: ((error: unknown) => void) | undefined;
}

/** The pool of connections that the configuration describes. */
export class ConnectionPool {
  readonly #config: DatabaseConfig;
  readonly #pool: Pool<Connection>;
  readonly #logger: Logger;
  readonly #observer: PoolObserver | undefined;
  readonly #clock: Clock;
  readonly #connectOptions: ConnectOptions;
  readonly #exhaustion: ExhaustionWatch;
  readonly #onOpened: ConnectionPoolOptions["onOpened"];
  readonly #stuck: StuckWatch;
  #refusal: DatabaseError | undefined;
  readonly #opening = new Set<Promise<Connection>>();

  constructor(config: DatabaseConfig, options: ConnectionPoolOptions) {
    this.#config = config;
    this.#logger = options.logger;
    this.#observer = options.observer;
    this.#clock = options.clock;
    this.#connectOptions = options.connectOptions;
    this.#onOpened = options.onOpened;
    this.#pool = createPool(config, options, {
      open: (signal) => this.#open(signal),
      onOpenRefused: (error) => this.#refused(classify(error)),
    });
    this.#stuck = new StuckWatch({
      ...options,
      silenceMs: config.pingTimeoutMs,
      stats: () => this.stats(),
    });
    this.#exhaustion = new ExhaustionWatch({
      ...options,
      pool: options.name,
      stats: () => this.stats(),
    });
  }

  stats(): PoolStats {
    return this.#pool.stats();
  }

  /** Why the server takes no new connection, while those that are open work. */
  get refusal(): DatabaseError | undefined {
    return this.#refusal;
  }

  /** What callers have at the moment. */
  get inUse(): readonly Connection[] {
    return this.#pool.inUse;
  }

  /**
   * Acquires a connection for `use`, and releases it when that has settled.
   *
   * @throws {DatabaseError} `INVALID_USE` when `use` succeeds but leaves a transaction open, which
   * is then rolled back; and whatever acquiring and `use` throw.
   */
  lend<T>(use: (connection: Connection) => Promise<T>, options: LendOptions): Promise<T> {
    if (this.#observer === undefined) return this.#lend(use, options);
    return observeLending(this.#observer, this.#clock, use, (use) => this.#lend(use, options));
  }

  async #lend<T>(use: (connection: Connection) => Promise<T>, options: LendOptions): Promise<T> {
    const connection = this.#pool.tryAcquire() ?? await this.#acquire(options);
    this.#stuck.lent();
    try {
      const result = await use(connection);
      if (connection.isInTransaction) throw this.#leftOpen();
      return result;
    } catch (error) {
      if (connection.closed) options.onLost?.(error);
      throw error;
    } finally {
      // Nobody may go on in a transaction of somebody else: with its session it is rolled back.
      this.#pool.release(connection, { broken: connection.isInTransaction });
      this.#exhaustion.released();
    }
  }

  #leftOpen(): DatabaseError {
    const message = "An operation left a transaction open, which is rolled back: " +
      "use transaction(), or end what was begun by hand";
    const error = new DatabaseError("INVALID_USE", { message });
    this.#logger.error({ event: "database.transaction_left_open", err: error }, message);
    return error;
  }

  async #acquire(wait: AcquireOptions): Promise<Connection> {
    try {
      return await this.#pool.acquire(wait);
    } catch (error) {
      const { signal, timeoutMs = this.#config.acquireTimeoutMs } = wait;
      const isAborted = signal?.aborted && error === signal.reason;
      const failure = isAborted ? abortReason(signal) : typedFailure(error, timeoutMs);
      this.#exhaustion.refused(failure);
      throw failure;
    }
  }

  /** Waits until as many connections are idle as are kept so, or no more can be opened now. */
  async warmUp(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw abortReason(signal);
    this.replenish();
    while (this.stats().idle < this.#config.minIdleConnections && this.#opening.size > 0) {
      const oneMore = Promise.race(this.#opening).catch(() => {});
      await abortable(oneMore, signal);
    }
  }

  /** Begins to open as many connections as are kept idle; undoes {@linkcode empty}. */
  replenish(): void {
    this.#pool.warmUp();
  }

  /** Drops everything that is open now; what is lent, when it comes back. */
  reset(): void {
    this.#pool.reset();
  }

  /** As {@linkcode reset}, and opens nothing that no caller waits for. */
  empty(): void {
    this.#refusal = undefined;
    this.#pool.empty();
  }

  /** Turns away everyone who waits for a connection. */
  rejectWaiters(makeError: () => DatabaseError): void {
    this.#pool.rejectWaiters(makeError);
  }

  /** As `Pool.close`. */
  close(options: CloseOptions): Promise<void> {
    this.#stuck.stop();
    return this.#pool.close(options);
  }

  #refused(err: DatabaseError): void {
    this.#refusal = err;
    this.#logger.warn(
      { event: "database.open_refused", err },
      "The database refuses new connections, while the open ones work",
    );
  }

  #open(signal: AbortSignal): Promise<Connection> {
    const observer = this.#observer;
    const options = {
      ...this.#connectOptions,
      signal,
      observeStatement: observer?.sending,
      onCertificate: observer?.certificateSeen,
    };
    const open = async () => {
      const connection = await connect(this.#config, options).catch((error) => {
        throw signal.aborted ? new DatabaseError("POOL_CLOSED") : error;
      });
      this.#refusal = undefined;
      this.#onOpened(connection);
      return connection;
    };
    const opening = (observer === undefined ? open() : observeOpening(observer, this.#clock, open))
      .finally(() => this.#opening.delete(opening));
    this.#opening.add(opening);
    return opening;
  }
}

function createPool(
  config: DatabaseConfig,
  { logger, clock, random, onIdleClosed }: ConnectionPoolOptions,
  opening: Pick<PoolOptions<Connection>, "open" | "onOpenRefused">,
): Pool<Connection> {
  return new Pool({
    ...opening,
    max: config.maxConnections,
    maxConnecting: config.maxConnecting,
    maxIdle: config.maxIdleConnections,
    minIdle: config.minIdleConnections,
    maxLifetimeMs: config.connectionMaxLifetimeMs,
    maxIdleTimeMs: config.connectionMaxIdleTimeMs,
    acquireTimeoutMs: config.acquireTimeoutMs,
    acquireQueueLimit: config.acquireQueueLimit,
    // The time limit of a whole operation ends the wait by its signal.
    isTimeout: (reason) => reason instanceof DatabaseError && reason.code === "ACQUIRE_TIMEOUT",
    check: async (connection, signal) => void await abortable(connection.role(), signal),
    idleCheckAfterMs: config.idleCheckAfterMs,
    retryDelayMs: (error, failures) =>
      retryDelay(
        failures,
        error === undefined ? new DatabaseError("CONNECTION_LOST") : classify(error),
        {
          initialDelayMs: config.retryInitialDelayMs,
          maxDelayMs: config.retryMaxDelayMs,
          authRetryDelayMs: config.authRetryDelayMs,
          random,
        },
      ),
    isRefusal: (error) => {
      const { isOutage, retryable } = classify(error);
      return !(isOutage && retryable);
    },
    leakWarningAfterMs: config.leakWarningAfterMs,
    onLeak: ({ heldMs, stack }) =>
      logger.warn(
        { event: "database.leak", held_ms: Math.round(heldMs), stack: aboveLayer(stack) },
        "A connection has been in use for too long (DB_LEAK_WARNING_AFTER)",
      ),
    onIdleClosed,
    clock,
    random,
  });
}

/** The pool's own errors as `DatabaseError`s that name the settings; all others as they are. */
function typedFailure(error: unknown, timeoutMs: number): unknown {
  if (!(error instanceof PoolError)) return error;
  const { code, stats: { max, inUse, connecting, waiting } } = error;
  const situation = `${inUse} of ${max} in use, ${connecting} connecting, ${waiting} waiting`;
  switch (code) {
    case "ACQUIRE_TIMEOUT":
      return new DatabaseError(code, {
        message: `No database connection within ${timeoutMs} ms: ${situation} ` +
          "(DB_MAX_CONNECTIONS, DB_ACQUIRE_TIMEOUT)",
      });
    case "QUEUE_FULL":
      return new DatabaseError(code, {
        message: `Too many callers wait for a database connection: ${situation} ` +
          "(DB_MAX_CONNECTIONS, DB_ACQUIRE_QUEUE_LIMIT)",
      });
    case "POOL_CLOSED":
      return new DatabaseError(code);
  }
}

/** Without the database layer's own frames, unless it is all one file, as in a bundle. */
function aboveLayer(stack: string): string {
  const frames = stack.split("\n").filter((frame) => !frame.includes(LAYER));
  return frames.length > 0 ? frames.join("\n") : stack;
}
