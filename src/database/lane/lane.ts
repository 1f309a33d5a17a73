import type { DatabaseConfig } from "../../config/mod.ts";
import type { Availability } from "../access_mode.ts";
import { BackgroundTask } from "./background_task.ts";
import type { CircuitBreaker, CircuitPermit, CircuitTransition } from "../circuit_breaker/mod.ts";
import type { Clock } from "../clock.ts";
import type { ConnectOptions } from "../connection/connect.ts";
import type { Connection, ServerRole } from "../connection/connection.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { createCircuit, isFailure, isSuspicious, newsOf } from "./database_circuit.ts";
import { classify, DatabaseError } from "../errors.ts";
import type { Logger } from "../logger.ts";
import type { Lender } from "../operation/lender.ts";
import type { PoolObserver } from "../observer.ts";
import { askBeside, type AskOptions, askRole, findRole } from "./ping.ts";
import { probePooler } from "./pooler_probe.ts";
import type { CloseOptions, PoolStats } from "../pool/mod.ts";
import { Recovery } from "./recovery.ts";
import { accepts } from "../connection/session.ts";
import { WriteWatch } from "./write_watch.ts";

/** Settings of a {@linkcode Lane}. */
export interface LaneOptions {
  readonly config: DatabaseConfig;
  /** Whether its servers are wanted for reads only, so that nobody waits for one that takes writes. */
  readonly isForReads: boolean;
  /**
   * Makes the database ready before the first call gets through. What it resolves with is why
   * nothing may be written; then it is asked again from time to time.
   */
  readonly prepare?: ((signal: AbortSignal) => Promise<DatabaseError | void>) | undefined;
  /** Looks at the server whenever it has been found again; must not reject. */
  readonly inspect?: ((lender: Lender, signal: AbortSignal) => Promise<void>) | undefined;
  /** Called when `state`, `isUsable`, `isWritable` or `outage` may have changed. */
  readonly onChange: () => void;
  readonly observer: PoolObserver | undefined;
  /** For every connection, in the pool and beside it. */
  readonly connectOptions: ConnectOptions;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

/** What a ping found. */
export interface RolePing {
  readonly responseTimeMs: number;
  readonly role: ServerRole;
}

/** An inspection that finds no free connection is left out. */
const INSPECTION_WAIT_MS = 250;
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
  /** A pool that gave nothing back during a ping can be busy, or its server frozen. */
  readonly #stuckCheck = new BackgroundTask({ run: (signal) => this.#checkBeside(signal) });
  readonly #writeWatch: WriteWatch;
  /** Whether the first attempt has ended. */
  #isSettled = false;
  #isPrepared: boolean;
  #isClosing = false;
  #failure: DatabaseError | undefined;
  #writeRefusal: DatabaseError | undefined;
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
      isHeldBack: () => this.#writeRefusal !== undefined,
      onWritable: (role, signal) => this.#takeWrites(role, signal),
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
    return this.#role?.readOnly === false && this.#writeRefusal === undefined;
  }

  get writeRefusal(): DatabaseError | undefined {
    return this.#writeRefusal;
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
    const permit = this.#admit();
    try {
      if (!this.#isPrepared) throw new DatabaseError("NOT_PREPARED");
      const result = await this.#pool.lend(use, { signal });
      permit.success();
      return result;
    } catch (error) {
      if (error instanceof DatabaseError) this.#failed(permit, newsOf(error));
      else permit.ignore();
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
    const { acquireCount } = this.stats();
    const startedAt = clock.now();
    try {
      const role = await askRole(this.#asking(timeoutMs, signal));
      this.#saw(role);
      permit.success();
      if (this.#isPrepared) this.#settle();
      return { responseTimeMs: clock.now() - startedAt, role };
    } catch (error) {
      const failure = classify(error);
      this.#trip(permit, failure);
      const isStuck = this.stats().acquireCount === acquireCount;
      if (failure.code === "ACQUIRE_TIMEOUT" && isStuck) this.#stuckCheck.start();
      throw failure;
    }
  }

  /** As `DatabaseManager.close`. */
  async close(options: CloseOptions): Promise<void> {
    this.#isClosing = true;
    const background = [this.#recovery, this.#verification, this.#stuckCheck, this.#writeWatch];
    const ended = Promise.all(background.map((task) => task.close()));
    await this.#pool.close(options);
    await ended;
  }

  /** The one place that decides whether a call may go to the database now. */
  #admit(): CircuitPermit {
    if (this.#isClosing) throw new DatabaseError("POOL_CLOSED");
    const permit = this.circuit.tryAcquire();
    // Half-open, the probes are the recovery's: a caller must not pay for finding out. Asked after
    // the permit, as the open time can end between two looks at the clock.
    if (permit !== undefined && this.circuit.state !== "half-open") return permit;
    permit?.ignore();
    throw this.#rejection();
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

  /** Without effect when the failure is no outage. */
  #trip(permit: CircuitPermit, failure: DatabaseError): void {
    if (!failure.isOutage) return;
    this.#note(failure);
    permit.trip(failure, { minOpenMs: this.#minOpenMs(failure) });
  }

  async #checkBeside(signal: AbortSignal): Promise<void> {
    using permit = this.#admit();
    try {
      this.#saw(await askBeside(this.#options, signal));
    } catch (error) {
      this.#trip(permit, classify(error));
    }
  }

  #asking(timeoutMs: number, signal: AbortSignal | undefined): AskOptions {
    const { clock } = this.#options;
    return {
      lend: (use, signal) => this.#pool.lend(use, { signal, timeoutMs: Infinity }),
      stats: () => this.stats(),
      timeoutMs,
      signal,
      clock,
    };
  }

  /** What the recovery does: ends with a database that is ready for the first caller. */
  async #attempt(signal: AbortSignal): Promise<void> {
    const { config, connectOptions, inspect, logger, clock, random } = this.#options;
    const timeoutMs = config.connectTimeoutMs + config.pingTimeoutMs;
    // Statements that hang can fill the pool for longer than the outage takes.
    this.#saw(await findRole(this.#asking(timeoutMs, signal), this.#options));
    await probePooler(config, { connectOptions, signal, logger, clock });
    if (!this.#isPrepared) {
      await this.#prepare(signal);
      this.#isPrepared = true;
    }
    // Not through the circuit, which is not closed yet, and without delaying the recovery.
    const wait = { signal, timeoutMs: INSPECTION_WAIT_MS };
    await inspect?.({ lend: (use) => this.#pool.lend(use, wait), clock, random }, signal);
    await this.#pool.warmUp(signal);
    this.#settle();
  }

  async #prepare(signal: AbortSignal): Promise<void> {
    const refusal = await this.#options.prepare?.(signal);
    this.#writeRefusal = refusal instanceof DatabaseError ? refusal : undefined;
  }

  /** The server takes writes; so does the lane, if there is nothing else against it. */
  async #takeWrites(role: ServerRole, signal: AbortSignal): Promise<void> {
    if (this.#writeRefusal !== undefined) {
      await this.#prepare(signal);
      if (this.#writeRefusal !== undefined) throw this.#writeRefusal;
      this.#changed();
    }
    this.#saw(role);
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
