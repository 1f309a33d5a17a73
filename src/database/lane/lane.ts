import type { DatabaseConfig } from "../../config/mod.ts";
import type { Availability } from "../access_mode.ts";
import { Admission } from "./admission.ts";
import type { CircuitBreaker, CircuitPermit, CircuitTransition } from "../circuit_breaker/mod.ts";
import type { Clock } from "../clock.ts";
import type { ConnectOptions } from "../connection/connect.ts";
import type { Connection, ServerRole } from "../connection/connection.ts";
import { ConnectionPool } from "./connection_pool.ts";
import { isSuspicious, newsOf } from "./database_circuit.ts";
import { DatabaseError } from "../errors.ts";
import { KnownServer, type Prepare } from "./known_server.ts";
import type { Logger } from "../logger.ts";
import type { Lend } from "../operation/time_limit.ts";
import type { PoolName, PoolObserver } from "../observer.ts";
import { Pinger, type PingOptions, type RolePing } from "./pinger.ts";
import { probePooler } from "./pooler_probe.ts";
import type { CloseOptions, PoolStats } from "../pool/mod.ts";
import { Recovery } from "./recovery.ts";
import { WriteWatch } from "./write_watch.ts";

/** Settings of a {@linkcode Lane}. */
export interface LaneOptions {
  readonly config: DatabaseConfig;
  /** On that for reads nobody waits for a server that takes writes. */
  readonly name: PoolName;
  /**
   * Makes the database ready before the first call gets through. What it resolves with is why
   * nothing may be written; then it is asked again from time to time.
   */
  readonly prepare?: Prepare | undefined;
  /** Looks at the server whenever it has been found again; must not reject. */
  readonly inspect?: ((lend: Lend, signal: AbortSignal) => Promise<void>) | undefined;
  /** Called when `state`, `isUsable`, `isWritable` or `outage` may have changed. */
  readonly onChange: () => void;
  readonly observer: PoolObserver | undefined;
  /** For every connection, in the pool and beside it. */
  readonly connectOptions: ConnectOptions;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

/** An inspection that finds no free connection is left out. */
const INSPECTION_WAIT_MS = 250;

/**
 * The way to one list of hosts: an admission that alone decides whether a call may use it now, a
 * pool, and the recovery that looks for a lost server and opens the way again.
 */
export class Lane implements Availability {
  readonly #options: LaneOptions;
  readonly #admission: Admission;
  readonly #server: KnownServer;
  readonly #pool: ConnectionPool;
  readonly #pinger: Pinger;
  readonly #recovery: Recovery;
  readonly #writeWatch: WriteWatch;
  /** Whether the first attempt has ended. */
  #isSettled = false;

  constructor(options: LaneOptions) {
    const { config, prepare, clock } = options;
    this.#options = options;
    this.#server = new KnownServer(config, prepare);
    this.#admission = new Admission(options);
    this.#pool = new ConnectionPool(config, {
      ...options,
      onOpened: ({ lastRole }) => {
        // Perhaps no server of the list takes writes any more. That one does is the WriteWatch's to
        // say: an address that leads to either in turns would drop the pool with every session.
        if (lastRole?.readOnly === true) this.#saw(lastRole);
      },
      onStuck: () => this.#pinger.verify(),
      onIdleClosed: () => this.#pinger.verify(),
    });
    this.#pinger = new Pinger({
      ...options,
      admission: this.#admission,
      pool: this.#pool,
      onRole: (role) => this.#answered(role),
    });
    this.#recovery = new Recovery({
      circuit: this.circuit,
      isReady: () => this.#isReady,
      attempt: (signal) => this.#attempt(signal),
      onFailure: (error) => this.#admission.notRecovered(error),
      minOpenMs: (error) => this.#admission.minOpenMs(error),
      clock,
    });
    this.#writeWatch = new WriteWatch({
      ...options,
      isNeeded: () => this.#isRefusingWrites,
      isHeldBack: () => this.writeRefusal !== undefined,
      onWritable: (role, signal) => this.#takeWrites(role, signal),
    });
    this.circuit.onTransition((transition) => this.#onTransition(transition));
  }

  get circuit(): CircuitBreaker {
    return this.#admission.circuit;
  }

  get state(): "connecting" | "connected" | "disconnected" {
    if (this.circuit.state !== "closed") return "disconnected";
    return this.#isReady ? "connected" : "connecting";
  }

  get isUsable(): boolean {
    return !this.#admission.isClosed && this.state === "connected";
  }

  get isWritable(): boolean {
    return this.#server.isWritable;
  }

  get writeRefusal(): DatabaseError | undefined {
    return this.#server.writeRefusal;
  }

  /** Why the server takes no new connection, while those that are open work. */
  get openRefusal(): DatabaseError | undefined {
    return this.isUsable ? this.#pool.refusal : undefined;
  }

  get outage(): DatabaseError | undefined {
    return this.#admission.outage;
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
    const permit = this.#admission.admit();
    try {
      if (!this.#server.isPrepared) throw new DatabaseError("NOT_PREPARED");
      const result = await this.#pool.lend(use, { signal, onLost: this.#onLost });
      permit.success();
      return result;
    } catch (error) {
      if (error instanceof DatabaseError) this.#failed(permit, newsOf(error));
      else permit.ignore();
      throw error;
    }
  }

  /** As {@linkcode Pinger.ping}. */
  ping(options: PingOptions): Promise<RolePing> {
    return this.#pinger.ping(options);
  }

  /** As `DatabaseManager.close`. */
  async close(options: CloseOptions): Promise<void> {
    this.#admission.close();
    const background = [this.#recovery, this.#pinger, this.#writeWatch];
    const ended = Promise.all(background.map((task) => task.close()));
    await this.#pool.close(options);
    await ended;
  }

  #failed(permit: CircuitPermit, error: DatabaseError): void {
    this.#admission.failed(permit, error);
    if (isSuspicious(error, this.stats())) this.#pinger.verify();
  }

  /** What the recovery does: ends with a database that is ready for the first caller. */
  async #attempt(signal: AbortSignal): Promise<void> {
    const { config, connectOptions, inspect, logger, clock } = this.#options;
    this.#saw(await this.#pinger.find(signal));
    await probePooler(config, { connectOptions, signal, logger, clock });
    await this.#server.prepare(signal);
    // Not through the circuit, which is not closed yet, and without delaying the recovery.
    const wait = { signal, timeoutMs: INSPECTION_WAIT_MS };
    await inspect?.((use) => this.#pool.lend(use, wait), signal);
    await this.#pool.warmUp(signal);
    this.#settle();
  }

  /**
   * A call that its caller gave up is no news of the database. But a server that works would have
   * taken the cancel, and kept the connection.
   */
  readonly #onLost = (error: unknown): void => {
    if (error instanceof DatabaseError && newsOf(error).code === "ABORTED") this.#pinger.verify();
  };

  #answered(role: ServerRole): void {
    this.#saw(role);
    if (this.#server.isPrepared) this.#settle();
  }

  /** The server takes writes; so does the lane, if there is nothing else against it. */
  async #takeWrites(role: ServerRole, signal: AbortSignal): Promise<void> {
    if (await this.#server.liftRefusal(signal)) this.#changed();
    this.#saw(role);
  }

  #saw(role: ServerRole): void {
    if (!this.#server.saw(role)) return;
    // Sessions can keep the old setting, and would contradict.
    this.#pool.reset();
    this.#changed();
  }

  #settle(): void {
    this.#isSettled = true;
    this.#changed();
  }

  get #isReady(): boolean {
    return this.#isSettled && this.#server.isPrepared;
  }

  get #isRefusingWrites(): boolean {
    return this.#options.name === "primary" && this.isUsable && !this.isWritable;
  }

  #changed(): void {
    if (this.#isRefusingWrites) this.#writeWatch.start();
    else this.#writeWatch.stop();
    this.#options.onChange();
  }

  #onTransition({ from, to, reason }: CircuitTransition): void {
    if (to === "open") {
      // A whole generation is stale at once, and whoever waits would only fail one by one.
      this.#pool.rejectWaiters(() => this.#admission.rejection());
      if (from === "closed" || reason === "forced") this.#pool.empty();
      if (reason === "forced") {
        this.#recovery.stop();
      } else {
        this.#isSettled = true;
        this.#recovery.start();
      }
    } else if (reason === "reset") {
      this.#afterReset();
    }
    if (to !== "half-open") this.#changed();
  }

  /** An operator believes that the database works. */
  #afterReset(): void {
    if (!this.#isReady) return this.#recovery.start();
    this.#recovery.stop();
    this.#pool.replenish();
    this.#pinger.verifyAnew();
  }
}
