import type { DatabaseConfig } from "../../config/mod.ts";
import type { Availability } from "../access_mode.ts";
import { BackgroundTask } from "./background_task.ts";
import type { CircuitBreaker, CircuitPermit, CircuitTransition } from "../circuit_breaker/mod.ts";
import type { Clock } from "../clock.ts";
import type { Connection, ServerRole } from "../connection/connection.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { createCircuit, isFailure, isSuspicious } from "./database_circuit.ts";
import { classify, DatabaseError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import { askRole } from "./ping.ts";
import type { CloseOptions, PoolStats } from "../pool/mod.ts";
import { Recovery } from "./recovery.ts";
import { accepts } from "../connection/session.ts";
import { WriteWatch } from "./write_watch.ts";

/** Settings of a {@linkcode Lane}. */
export interface LaneOptions {
  readonly config: DatabaseConfig;
  /** Whether its servers are wanted for reads only, so that nobody waits for one that takes writes. */
  readonly isForReads: boolean;
  /** Makes the database ready, once, before the first call gets through. */
  readonly prepare?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** Called when `state`, `isUsable`, `isWritable` or `outage` may have changed. */
  readonly onChange: () => void;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

/** What a ping found. */
export interface RolePing {
  readonly responseTimeMs: number;
  readonly role: ServerRole;
}

/** How much later than configured a rejected login is tried again at most, as a part. */
const SLOW_JITTER = 0.1;

/**
 * The way to one list of hosts: a pool, the circuit breaker that alone decides whether a call may
 * use it now, and the recovery that closes the circuit again.
 */
export class Lane implements Availability {
  readonly circuit: CircuitBreaker;
  readonly #options: LaneOptions;
  readonly #pool: ConnectionPool;
  readonly #recovery: Recovery;
  /** One failed call can be that connection's own fate: a ping tells whether it is an outage. */
  readonly #verification = new BackgroundTask({ run: (signal) => this.ping({ signal }) });
  readonly #writeWatch: WriteWatch;
  /** Whether the first attempt has ended. */
  #isSettled = false;
  #isPrepared: boolean;
  #isClosing = false;
  #failure: DatabaseError | undefined;
  #role: ServerRole | undefined;

  constructor(options: LaneOptions) {
    const { config, prepare, clock } = options;
    this.#options = options;
    this.#isPrepared = prepare === undefined;
    this.#pool = new ConnectionPool(config, {
      ...options,
      onIdleClosed: () => this.#verification.start(),
    });
    this.circuit = createCircuit(config, options);
    this.circuit.onTransition((transition) => this.#onTransition(transition));
    this.#recovery = new Recovery({
      circuit: this.circuit,
      attempt: (signal) => this.#attempt(signal),
      onFailure: (error) => void (this.#failure = error),
      minOpenMs: (error) => this.#minOpenMs(error),
      clock,
    });
    this.#writeWatch = new WriteWatch({
      ...options,
      isNeeded: () => this.#isRefusingWrites,
      onWritable: (role) => this.#saw(role),
    });
  }

  get state(): "connecting" | "connected" | "disconnected" {
    if (this.circuit.state !== "closed") return "disconnected";
    return this.#isSettled && this.#isPrepared ? "connected" : "connecting";
  }

  get isUsable(): boolean {
    return !this.#isClosing && this.state === "connected";
  }

  get isWritable(): boolean {
    return this.#role?.readOnly === false;
  }

  get outage(): DatabaseError | undefined {
    return this.circuit.state === "closed" ? undefined : this.#failure;
  }

  /** Begins to look for the database in the background. */
  start(): void {
    if (this.state === "connecting") this.#recovery.start();
  }

  stats(): PoolStats {
    return this.#pool.stats();
  }

  /**
   * Acquires a connection for `use`, and releases it when that has settled. The signal only ends
   * the wait for the connection.
   *
   * @throws {DatabaseError} `CIRCUIT_OPEN`, with the outage as its cause; `NOT_PREPARED`; and what
   * acquiring throws. What `use` throws is passed on; a `DatabaseError` counts for the circuit.
   */
  async lend<T>(
    use: (connection: Connection) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    using permit = this.#admit();
    if (!this.#isPrepared) throw new DatabaseError("NOT_PREPARED");
    try {
      const result = await this.#pool.lend(use, { signal });
      permit.success();
      return result;
    } catch (error) {
      if (error instanceof DatabaseError) this.#failed(permit, error);
      throw error;
    }
  }

  /**
   * Asks a server for its role, now, through the pool. Ends in time also when it is frozen. A
   * server that does not answer, or has not the configured role any more, opens the circuit.
   *
   * @throws {DatabaseError} `PING_TIMEOUT`, `CIRCUIT_OPEN`, `WRONG_SERVER_ROLE`, `ACQUIRE_TIMEOUT`
   * when every connection is in use, connect errors, or `ABORTED`.
   */
  async ping(
    { timeoutMs = this.#options.config.pingTimeoutMs, signal }: {
      readonly timeoutMs?: number | undefined;
      readonly signal?: AbortSignal | undefined;
    },
  ): Promise<RolePing> {
    const { clock } = this.#options;
    using permit = this.#admit();
    const startedAt = clock.now();
    try {
      const role = await this.#askRole(timeoutMs, signal);
      this.#saw(role);
      permit.success();
      if (this.#isPrepared) this.#settle();
      return { responseTimeMs: clock.now() - startedAt, role };
    } catch (error) {
      const failure = classify(error);
      if (failure.isOutage) {
        this.#note(failure);
        permit.trip(failure, { minOpenMs: this.#minOpenMs(failure) });
      }
      throw failure;
    }
  }

  /** As `DatabaseManager.close`. */
  async close(options: CloseOptions): Promise<void> {
    this.#isClosing = true;
    const background = [this.#recovery, this.#verification, this.#writeWatch];
    const ended = Promise.all(background.map((task) => task.close()));
    await this.#pool.close(options);
    await ended;
  }

  /** The one place that decides whether a call may go to the database now. */
  #admit(): CircuitPermit {
    if (this.#isClosing) throw new DatabaseError("POOL_CLOSED");
    // Half-open, the probes are the recovery's: a caller must not pay for finding out.
    const permit = this.circuit.state === "half-open" ? undefined : this.circuit.tryAcquire();
    if (permit === undefined) throw this.#rejection();
    return permit;
  }

  #rejection(): DatabaseError {
    const { retryAfterMs } = this.circuit.rejection();
    const cause = this.#failure;
    return new DatabaseError("CIRCUIT_OPEN", {
      message: `The database is not asked while it fails: ${cause?.code}, ${cause?.message}`,
      cause,
      retryAfterMs,
    });
  }

  #failed(permit: CircuitPermit, error: DatabaseError): void {
    if (isFailure(error)) this.#note(error);
    permit.failure(error);
    if (isSuspicious(error, this.stats())) this.#verification.start();
  }

  /** Keeps the error that is to explain an opening; what fails later does not. */
  #note(error: DatabaseError): void {
    if (this.circuit.state === "closed") this.#failure = error;
  }

  #askRole(timeoutMs: number, signal: AbortSignal | undefined): Promise<ServerRole> {
    return askRole({
      lend: (use, signal) => this.#pool.lend(use, { signal, timeoutMs: Infinity }),
      stats: () => this.stats(),
      timeoutMs,
      signal,
      clock: this.#options.clock,
    });
  }

  /** What the recovery does: ends with a database that is ready for the first caller. */
  async #attempt(signal: AbortSignal): Promise<void> {
    const { config, prepare } = this.#options;
    this.#saw(await this.#askRole(config.connectTimeoutMs + config.pingTimeoutMs, signal));
    if (!this.#isPrepared) {
      await prepare?.(signal);
      this.#isPrepared = true;
    }
    await this.#pool.warmUp(signal);
    this.#settle();
  }

  #settle(): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#changed();
  }

  /** @throws {DatabaseError} `WRONG_SERVER_ROLE`: another host of the list may have it. */
  #saw(role: ServerRole): void {
    const { targetSessionAttrs } = this.#options.config;
    if (!accepts(targetSessionAttrs, role)) {
      throw new DatabaseError("WRONG_SERVER_ROLE", {
        message: `The server is not ${targetSessionAttrs} any more (target_session_attrs)`,
      });
    }
    const isChange = this.#role !== undefined && this.#role.readOnly !== role.readOnly;
    this.#role = role;
    if (!isChange) return;
    // Sessions can keep the old setting, and would contradict.
    this.#pool.reset();
    this.#changed();
  }

  get #isRefusingWrites(): boolean {
    return !this.#options.isForReads && this.isUsable && !this.isWritable;
  }

  #changed(): void {
    if (this.#isRefusingWrites) this.#writeWatch.start();
    else this.#writeWatch.stop();
    this.#options.onChange();
  }

  #minOpenMs({ retryable }: DatabaseError): number {
    const { config, random } = this.#options;
    return retryable ? 0 : config.authRetryDelayMs * (1 + SLOW_JITTER * random());
  }

  /** An operator believes that the database works. */
  #afterReset(): void {
    if (!this.#isPrepared) return this.#recovery.start();
    this.#recovery.stop();
    this.#verification.start();
  }

  #onTransition({ from, to, reason, cause }: CircuitTransition): void {
    if (to === "open") {
      this.#isSettled = true;
      if (reason === "forced") {
        const message = `An operator stopped the use of the database: ${cause}`;
        this.#failure = new DatabaseError("CIRCUIT_OPEN", { message });
        this.#recovery.stop();
      } else {
        // A whole generation is stale at once, and whoever waits would only fail one by one.
        if (from === "closed") this.#pool.reset();
        this.#recovery.start();
      }
      this.#pool.rejectWaiters(() => this.#rejection());
    } else if (reason === "reset") {
      this.#afterReset();
    }
    if (to !== "half-open") this.#changed();
  }
}
