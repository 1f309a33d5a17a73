import type { CircuitBreaker, CircuitPermit, CircuitTransition } from "../circuit_breaker/mod.ts";
import type { Connection } from "../connection/connection.ts";
import { DatabaseError } from "../errors.ts";
import type { CloseOptions, PoolStats } from "../pool/mod.ts";
import { Circuit, decisiveError, needsPing } from "./circuit.ts";
import { ConnectionPool } from "./connection_pool.ts";
import type { PoolContext } from "./context.ts";
import { Pinger, type PingOptions, type ServerPing } from "./ping.ts";
import { type Inspect, Recovery } from "./recovery.ts";
import { type EnsureSchema, ServerState } from "./server_state.ts";
import { WriteWatch } from "./write_watch.ts";

/** Whether the servers of a pool can be used, at one moment. */
export interface Availability {
  /** `connecting` until the server was found ready; then as the circuit: closed, or not. */
  readonly state: "connecting" | "connected" | "disconnected";
  /** Whether calls get through. */
  readonly isUsable: boolean;
  /** Whether they may write. */
  readonly isWritable: boolean;
  /** Why nothing may be written although the server takes writes: the schema is dirty. */
  readonly writesBlockedBy: DatabaseError | undefined;
  /** Why the circuit is not closed; undefined also while connecting for the first time. */
  readonly outage: DatabaseError | undefined;
}

/** What a managed pool asks of its owner, and tells it. */
export interface ManagedPoolHooks {
  /** Makes the schema ready, before the first call gets through. Default: it needs nothing. */
  readonly ensureSchema?: EnsureSchema | undefined;
  /** Looks at the server whenever the recovery has found it. */
  readonly inspect?: Inspect | undefined;
  /** Called when the availability may have changed. */
  readonly onChange: () => void;
}

/**
 * A pool of connections to one list of hosts, with the circuit breaker that decides whether a call
 * may use it, and the recovery that brings it back after an outage.
 *
 * A call takes the way of {@linkcode ManagedPool.lend}: permit, connection, release. What it finds
 * wrong leads to a ping, a failed ping opens the circuit, and that starts the recovery.
 */
export class ManagedPool {
  readonly #context: PoolContext;
  readonly #onChange: () => void;
  readonly #circuit: Circuit;
  readonly #server: ServerState;
  readonly #connections: ConnectionPool;
  readonly #pinger: Pinger;
  readonly #recovery: Recovery;
  readonly #writeWatch: WriteWatch;
  /** Kept, and not worked out anew: every call looks at it. */
  #availability: Availability;

  /** Connects to nothing yet; see {@linkcode ManagedPool.start}. */
  constructor(context: PoolContext, { ensureSchema, inspect, onChange }: ManagedPoolHooks) {
    this.#context = context;
    this.#onChange = onChange;
    const circuit = this.#circuit = new Circuit(context);
    const server = this.#server = new ServerState(context.config, ensureSchema, {
      // Sessions can keep the settings of before, and would contradict.
      onRoleChange: () => this.#connections.reset(),
      onChange: () => this.#changed(),
    });
    const connections = this.#connections = new ConnectionPool(context, {
      onOpened: (connection) => this.#opened(connection),
      onStuck: () => this.#pinger.verify(),
      onIdleClosed: () => this.#pinger.verify(),
    });
    const pinger = this.#pinger = new Pinger(context, { circuit, connections, server });
    this.#recovery = new Recovery(context, { circuit, server, pinger, connections, inspect });
    this.#writeWatch = new WriteWatch(context, server, () => this.#isRefusingWrites);
    this.#availability = this.#currentAvailability();
    circuit.breaker.onTransition((transition) => this.#onTransition(transition));
  }

  /** The circuit breaker, for operators and metrics. */
  get circuit(): CircuitBreaker {
    return this.#circuit.breaker;
  }

  /** Whether calls get through, and may write. The same object until something changes. */
  get availability(): Availability {
    return this.#availability;
  }

  /** Why no new connection can be opened, while those that are open work. */
  get connectError(): DatabaseError | undefined {
    return this.#availability.isUsable ? this.#connections.connectError : undefined;
  }

  /** Starts to connect in the background. */
  start(): void {
    if (this.#availability.state === "connecting") this.#recovery.start();
  }

  /** A frozen snapshot of the pool. */
  stats(): PoolStats {
    return this.#connections.stats();
  }

  /**
   * Acquires a connection for `use`, and releases it when that has settled. The signal only ends
   * the wait for the connection.
   *
   * @throws {DatabaseError} `CIRCUIT_OPEN`, with the outage as its cause; `NOT_PREPARED` until the
   * schema is ready; and what acquiring throws. What `use` throws is passed on; a `DatabaseError`
   * counts for the circuit.
   */
  async lend<T>(
    use: (connection: Connection) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const permit = this.#circuit.acquire();
    try {
      if (!this.#availability.isUsable && !this.#server.isSchemaReady) {
        throw new DatabaseError("NOT_PREPARED");
      }
      const result = await this.#connections.lend(use, { signal, onLost: this.#onLost });
      permit.success();
      return result;
    } catch (error) {
      if (error instanceof DatabaseError) this.#callFailed(permit, decisiveError(error));
      else permit.ignore();
      throw error;
    }
  }

  /** As {@linkcode Pinger.ping}. */
  ping(options: PingOptions): Promise<ServerPing> {
    return this.#pinger.ping(options);
  }

  /** As `DatabaseManager.close`. */
  async close(options: CloseOptions): Promise<void> {
    this.#circuit.shutDown();
    this.#changed();
    const background = [this.#recovery, this.#pinger, this.#writeWatch];
    const ended = Promise.all(background.map((task) => task.close()));
    await this.#connections.close(options);
    await ended;
  }

  #callFailed(permit: CircuitPermit, error: DatabaseError): void {
    this.#circuit.callFailed(permit, error);
    if (needsPing(error, this.stats())) this.#pinger.verify();
  }

  /**
   * A call that its caller aborted says nothing about the database. But a server that works would
   * have accepted the cancel request, and kept the connection.
   */
  readonly #onLost = (error: unknown): void => {
    const isAborted = error instanceof DatabaseError && decisiveError(error).code === "ABORTED";
    if (isAborted) this.#pinger.verify();
  };

  /**
   * A new session on a read-only server: perhaps no server of the list takes writes any more. That
   * one does take writes is for the write watch to say: an address that leads to either in turns
   * would reset the pool with every session.
   */
  #opened({ lastRole }: Connection): void {
    if (lastRole?.readOnly === true) this.#server.sawRole(lastRole);
  }

  #onTransition({ from, to, reason }: CircuitTransition): void {
    if (to === "open") {
      // Every connection is stale, and callers that wait would only fail one by one.
      this.#connections.rejectWaiters(() => this.#circuit.openError());
      if (from === "closed" || reason === "forced") this.#connections.empty();
      if (reason === "forced") this.#recovery.stop();
      else this.#recovery.start();
    } else if (reason === "reset") {
      this.#afterReset();
    }
    if (to !== "half-open") this.#changed();
  }

  /** An operator believes that the database works. */
  #afterReset(): void {
    if (!this.#server.isReady) return this.#recovery.startNow();
    this.#recovery.stop();
    this.#connections.replenish();
    this.#pinger.verifyAnew();
  }

  #changed(): void {
    this.#availability = this.#currentAvailability();
    if (this.#isRefusingWrites) this.#writeWatch.start();
    else this.#writeWatch.stop();
    this.#onChange();
  }

  #currentAvailability(): Availability {
    const { breaker, outage, isShutDown } = this.#circuit;
    const { isReady, isWritable, writesBlockedBy } = this.#server;
    const isClosed = breaker.state === "closed";
    const state = !isClosed ? "disconnected" : isReady ? "connected" : "connecting";
    const isUsable = state === "connected" && !isShutDown;
    return { state, isUsable, isWritable, writesBlockedBy, outage };
  }

  /** Only the primary is watched: read hosts are not expected to accept writes. */
  get #isRefusingWrites(): boolean {
    const { isUsable, isWritable } = this.#availability;
    return this.#context.name === "primary" && isUsable && !isWritable;
  }
}
