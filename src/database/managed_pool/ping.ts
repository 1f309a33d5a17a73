import { connect } from "../connection/connect.ts";
import type { Connection, ServerRole } from "../connection/connection.ts";
import { abortReason, classify, DatabaseError } from "../errors.ts";
import type { PoolStats } from "../pool/mod.ts";
import { BackgroundTask } from "./background_task.ts";
import type { Circuit } from "./circuit.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import type { PoolContext } from "./context.ts";
import { endLostSessions } from "./lost_sessions.ts";
import type { ServerState } from "./server_state.ts";
import { Deadline } from "../../time.ts";

/** How one ping is limited. */
export interface PingOptions {
  /** Ends the ping with `ABORTED`. */
  readonly signal?: AbortSignal | undefined;
  /** For all of it, the wait for a connection included. Default: `DB_PING_TIMEOUT`. */
  readonly timeoutMs?: number | undefined;
}

/** What a ping found. */
export interface ServerPing {
  /** From the wait for a connection to the answer. */
  readonly responseTimeMs: number;
  /** What the server is at the moment. */
  readonly role: ServerRole;
}

/** The parts of a managed pool that a {@linkcode Pinger} asks through and reports to. */
export interface PingerParts {
  /** Gives the permit of a ping, and is told when it failed. */
  readonly circuit: Circuit;
  /** On a connection of which it asks. */
  readonly connections: ConnectionPool;
  /** Is told the answer. */
  readonly server: ServerState;
}

/** Asks the server for its role: for a caller, for the recovery, or when something seems wrong. */
export class Pinger {
  readonly #context: PoolContext;
  readonly #parts: PingerParts;
  /** One failed call can be the end of one connection only: a ping tells whether it is an outage. */
  readonly #verification = new BackgroundTask((signal) => this.ping({ signal }));
  /** When no connection came back during a ping, the pool can be busy or the server frozen. */
  readonly #stuckCheck = new BackgroundTask((signal) => this.#pingOutside(signal));

  /** Asks nothing by itself. */
  constructor(context: PoolContext, parts: PingerParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /**
   * Asks through the pool, and ends in time also when the server is frozen. An outage, or a server
   * that no longer has the configured role, opens the circuit.
   *
   * @throws {DatabaseError} `PING_TIMEOUT`, `CIRCUIT_OPEN`, `WRONG_SERVER_ROLE`, `ACQUIRE_TIMEOUT`
   * when every connection is in use, connect errors, or `ABORTED`.
   */
  async ping({ signal, timeoutMs }: PingOptions): Promise<ServerPing> {
    const { circuit, connections, server } = this.#parts;
    const { config: { pingTimeoutMs }, clock } = this.#context;
    using permit = circuit.acquire();
    const { acquireCount } = connections.stats();
    const startedAt = clock.now();
    try {
      const role = await this.#askPool(timeoutMs ?? pingTimeoutMs, signal);
      server.answered(role);
      permit.success();
      return { responseTimeMs: clock.now() - startedAt, role };
    } catch (error) {
      const failure = classify(error);
      circuit.pingFailed(permit, failure);
      const isStuck = connections.stats().acquireCount === acquireCount;
      if (failure.code === "ACQUIRE_TIMEOUT" && isStuck) this.#stuckCheck.start();
      throw failure;
    }
  }

  /**
   * Asks for the recovery, which has the permit and checks the role itself. Statements that hang can
   * fill the pool for longer than the outage lasts, so a full pool is asked around.
   *
   * @throws {DatabaseError} `PING_TIMEOUT`, connect errors, or `ABORTED`.
   */
  async findServer(signal: AbortSignal): Promise<ServerRole> {
    const { connectTimeoutMs, pingTimeoutMs } = this.#context.config;
    const { inUse, closing, max } = this.#parts.connections.stats();
    if (inUse + closing >= max) return await this.#askOutsideFull(signal);
    try {
      return await this.#askPool(connectTimeoutMs + pingTimeoutMs, signal);
    } catch (error) {
      if (classify(error).code !== "ACQUIRE_TIMEOUT") throw error;
      return await this.#askOutsideFull(signal);
    }
  }

  /** Pings in the background, unless such a ping is in progress. */
  verify(): void {
    this.#verification.start();
  }

  /** Pings in the background, from the beginning: a ping in progress does not count any more. */
  verifyAnew(): void {
    this.#verification.restart();
  }

  /** Aborts the pings in the background, and waits for their end. */
  async close(): Promise<void> {
    await Promise.all([this.#verification.close(), this.#stuckCheck.close()]);
  }

  async #pingOutside(signal: AbortSignal): Promise<void> {
    const { circuit, server } = this.#parts;
    using permit = circuit.acquire();
    try {
      server.answered(await this.#askOutsideFull(signal));
    } catch (error) {
      circuit.pingFailed(permit, classify(error));
    }
  }

  /** Asks on a connection of the pool, within the time limit for both. */
  async #askPool(timeoutMs: number, signal: AbortSignal | undefined): Promise<ServerRole> {
    const { connections } = this.#parts;
    // A connection that is acquired for nothing would be destroyed.
    if (signal?.aborted) throw abortReason(signal);
    let isAsking = false;
    const { acquireCount } = connections.stats();
    using deadline = new Deadline({
      timeoutMs,
      signal,
      clock: this.#context.clock,
      onTimeout: () =>
        isAsking ? noAnswer(timeoutMs) : noConnection(timeoutMs, connections.stats(), acquireCount),
    });
    const wait = { signal: deadline.signal, timeoutMs: Infinity, evenIfQueueFull: true };
    const ask = () =>
      connections.lend((connection) => {
        isAsking = true;
        return answerOf(connection, deadline.signal, () => connection.role());
      }, wait);
    try {
      return await ask();
    } catch (error) {
      // An idle connection can have died unnoticed, which says nothing about the database.
      if (classify(error).code !== "CONNECTION_LOST" || deadline.signal.aborted) throw error;
      return await ask();
    }
  }

  /**
   * Asks outside a pool whose connections are all in use. Those whose sessions or answers are lost
   * are destroyed. Not behind a pooler, whose sessions are not those of its server.
   */
  #askOutsideFull(signal: AbortSignal): Promise<ServerRole> {
    const { config, clock } = this.#context;
    return askOutside(this.#context, signal, async (connection, signal) => {
      const role = await connection.role();
      if (config.pooler !== "none") return role;
      // A part of the time that the whole question has.
      const silenceMs = config.pingTimeoutMs / 4;
      await endLostSessions(connection, this.#parts.connections.inUse, {
        silenceMs,
        signal,
        clock,
      });
      return role;
    });
  }
}

/**
 * Asks the server for its role in a new session outside the pool. That works while every connection
 * of the pool is in use, and sees what sessions that keep their old settings do not.
 *
 * @throws {DatabaseError} `PING_TIMEOUT`, connect errors, or `ABORTED`.
 */
export async function askOutside(
  { config, connectOptions, clock }: Pick<PoolContext, "config" | "connectOptions" | "clock">,
  signal: AbortSignal | undefined,
  ask: (connection: Connection, signal: AbortSignal) => Promise<ServerRole> = (connection) =>
    connection.role(),
): Promise<ServerRole> {
  await using connection = await connect(config, { ...connectOptions, signal });
  const { pingTimeoutMs: timeoutMs } = config;
  using deadline = new Deadline({ timeoutMs, signal, clock, onTimeout: () => noAnswer(timeoutMs) });
  return await answerOf(connection, deadline.signal, () => ask(connection, deadline.signal));
}

/** Destroys the connection when the signal aborts: a session without an answer is not used again. */
async function answerOf<T>(
  connection: Connection,
  signal: AbortSignal,
  ask: () => Promise<T>,
): Promise<T> {
  const onAbort = () => connection.destroy(abortReason(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await ask();
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function noAnswer(timeoutMs: number): DatabaseError {
  return new DatabaseError("PING_TIMEOUT", { message: `No answer within ${timeoutMs} ms` });
}

/**
 * A busy pool must not look like a lost database: while others get connections the database works,
 * also when some are being opened at this moment.
 */
function noConnection(timeoutMs: number, now: PoolStats, acquireCount: number): DatabaseError {
  const { inUse, max } = now;
  if (inUse < max && now.acquireCount === acquireCount) return noAnswer(timeoutMs);
  return new DatabaseError("ACQUIRE_TIMEOUT", {
    message: `No connection became free within ${timeoutMs} ms: ${inUse} of ${max} are in use ` +
      "(DB_MAX_CONNECTIONS)",
  });
}
