import { connect } from "../connection/connect.ts";
import type { Connection } from "../connection/connection.ts";
import { abortReason, classify, DatabaseError } from "../errors.ts";
import { observeLending, observeOpening } from "../observer.ts";
import {
  type AcquireOptions,
  type CloseOptions,
  Pool,
  PoolError,
  type PoolOptions,
  type PoolStats,
} from "../pool/mod.ts";
import { retryDelay } from "../retry.ts";
import type { PoolContext } from "./context.ts";
import { PoolWatch } from "./pool_watch.ts";
import { abortable } from "../../time.ts";

/** Where the database layer's own files are, whose frames say nothing of a leak. */
const LAYER = new URL("../", import.meta.url).href;

/** What a {@linkcode ConnectionPool} tells its managed pool. */
export interface ConnectionPoolEvents {
  /** A connection was opened. Called before anyone gets it. */
  readonly onOpened: (connection: Connection) => void;
  /** Connections were in use, and none was released for `DB_PING_TIMEOUT`. */
  readonly onStuck: () => void;
  /** An idle connection turned out to be dead. */
  readonly onIdleClosed: () => void;
}

/** How one {@linkcode ConnectionPool.lend} waits, and what it tells. */
export interface LendOptions extends AcquireOptions {
  /** Called with what `use` threw when its connection is closed by then. */
  readonly onLost?: ((error: unknown) => void) | undefined;
}

/** The pool of connections that the configuration describes, with its logs and its observer. */
export class ConnectionPool {
  readonly #context: PoolContext;
  readonly #pool: Pool<Connection>;
  readonly #watch: PoolWatch;
  readonly #onOpened: ConnectionPoolEvents["onOpened"];
  readonly #opening = new Set<Promise<Connection>>();
  #connectError: DatabaseError | undefined;

  /** Opens nothing until somebody acquires, or {@linkcode ConnectionPool.replenish} is called. */
  constructor(context: PoolContext, { onOpened, onStuck, onIdleClosed }: ConnectionPoolEvents) {
    this.#context = context;
    this.#onOpened = onOpened;
    this.#pool = createPool(context, {
      open: (signal) => this.#open(signal),
      onOpenRefused: (error) => this.#connectFailed(classify(error)),
      onIdleClosed,
    });
    this.#watch = new PoolWatch(context, { stats: () => this.stats(), onStuck });
  }

  /** A frozen snapshot. */
  stats(): PoolStats {
    return this.#pool.stats();
  }

  /** Why no new connection can be opened, while those that are open work. */
  get connectError(): DatabaseError | undefined {
    return this.#connectError;
  }

  /** The connections that callers have. */
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
    const { observer, clock } = this.#context;
    if (observer === undefined) return this.#lend(use, options);
    return observeLending(observer, clock, use, (use) => this.#lend(use, options));
  }

  async #lend<T>(use: (connection: Connection) => Promise<T>, options: LendOptions): Promise<T> {
    const connection = this.#pool.tryAcquire() ?? await this.#acquire(options);
    this.#watch.acquired();
    try {
      const result = await use(connection);
      if (connection.isInTransaction) throw this.#leftOpen();
      return result;
    } catch (error) {
      if (connection.closed) options.onLost?.(error);
      throw error;
    } finally {
      // A transaction that is left open ends with its session: the next caller must not get it.
      this.#pool.release(connection, { broken: connection.isInTransaction });
      this.#watch.released();
    }
  }

  #leftOpen(): DatabaseError {
    const message = "An operation left a transaction open, which is rolled back: " +
      "use transaction(), or commit before the operation ends";
    const error = new DatabaseError("INVALID_USE", { message });
    this.#context.logger.error({ event: "database.transaction_left_open", err: error }, message);
    return error;
  }

  async #acquire(wait: AcquireOptions): Promise<Connection> {
    try {
      return await this.#pool.acquire(wait);
    } catch (error) {
      const { signal, timeoutMs = this.#context.config.acquireTimeoutMs } = wait;
      const isAborted = signal?.aborted && error === signal.reason;
      const failure = isAborted ? abortReason(signal) : typedFailure(error, timeoutMs);
      this.#watch.rejected(failure);
      throw failure;
    }
  }

  /** Waits until `DB_MIN_IDLE_CONNECTIONS` are idle, or no more can be opened at the moment. */
  async warmUp(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw abortReason(signal);
    this.replenish();
    while (this.stats().idle < this.#context.config.minIdleConnections && this.#opening.size > 0) {
      const oneMore = Promise.race(this.#opening).catch(() => {});
      await abortable(oneMore, signal, abortReason);
    }
  }

  /** Starts to open what is missing to `DB_MIN_IDLE_CONNECTIONS`; undoes {@linkcode empty}. */
  replenish(): void {
    this.#pool.warmUp();
  }

  /** Closes every connection: those that are idle now, those in use when they are released. */
  reset(): void {
    this.#pool.reset();
  }

  /** As {@linkcode reset}, and keeps none idle until {@linkcode replenish}. */
  empty(): void {
    this.#connectError = undefined;
    this.#pool.empty();
  }

  /** Rejects every caller that waits for a connection. */
  rejectWaiters(makeError: () => DatabaseError): void {
    this.#pool.rejectWaiters(makeError);
  }

  /** As `Pool.close`. */
  close(options: CloseOptions): Promise<void> {
    this.#watch.stop();
    return this.#pool.close(options);
  }

  #connectFailed(err: DatabaseError): void {
    this.#connectError = err;
    this.#context.logger.warn(
      { event: "database.open_refused", err },
      "The database refuses new connections, while the open ones work",
    );
  }

  #open(signal: AbortSignal): Promise<Connection> {
    const { config, connectOptions, observer, clock } = this.#context;
    const options = {
      ...connectOptions,
      signal,
      observeStatement: observer?.sending,
      onCertificate: observer?.certificateSeen,
    };
    const open = async () => {
      const connection = await connect(config, options).catch((error) => {
        throw signal.aborted ? new DatabaseError("POOL_CLOSED") : error;
      });
      this.#connectError = undefined;
      this.#onOpened(connection);
      return connection;
    };
    const opening = (observer === undefined ? open() : observeOpening(observer, clock, open))
      .finally(() => this.#opening.delete(opening));
    this.#opening.add(opening);
    return opening;
  }
}

function createPool(
  { config, logger, clock, random }: PoolContext,
  events: Pick<PoolOptions<Connection>, "open" | "onOpenRefused" | "onIdleClosed">,
): Pool<Connection> {
  return new Pool({
    ...events,
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
    check: async (connection, signal) =>
      void await abortable(connection.role(), signal, abortReason),
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
