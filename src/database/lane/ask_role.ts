import type { DatabaseConfig } from "../../config/mod.ts";
import type { Clock } from "../clock.ts";
import { connect, type ConnectOptions } from "../connection/connect.ts";
import type { Connection, ServerRole } from "../connection/connection.ts";
import { Deadline } from "../deadline.ts";
import { abortReason, classify, DatabaseError } from "../errors.ts";
import type { PoolStats } from "../pool/mod.ts";

/** Settings of {@linkcode askRole}. */
export interface AskOptions {
  /** Acquires a connection, without a time limit of its own, and releases it. */
  readonly lend: <T>(
    use: (connection: Connection) => Promise<T>,
    signal: AbortSignal,
  ) => Promise<T>;
  readonly stats: () => PoolStats;
  /** For all of it, the wait for a connection included. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  readonly clock: Clock;
}

/** How {@linkcode askBeside} connects. */
export interface BesideOptions {
  readonly config: DatabaseConfig;
  readonly connectOptions: ConnectOptions;
  readonly clock: Clock;
}

/**
 * Asks the server for its role on a connection of the pool.
 *
 * @throws {DatabaseError} `PING_TIMEOUT`, `ACQUIRE_TIMEOUT` when every connection was in use all
 * the time, connect errors, or `ABORTED`.
 */
export async function askRole(options: AskOptions): Promise<ServerRole> {
  const { lend, stats, timeoutMs, signal, clock } = options;
  let isAsking = false;
  using deadline = new Deadline({
    timeoutMs,
    signal,
    clock,
    onTimeout: () => isAsking ? noAnswer(timeoutMs) : noConnection(timeoutMs, stats()),
  });
  const ask = () =>
    lend((connection) => {
      isAsking = true;
      return roleOf(connection, deadline.signal);
    }, deadline.signal);
  try {
    return await ask();
  } catch (error) {
    // An idle connection can have died unnoticed: that is no news of the database.
    if (classify(error).code !== "CONNECTION_LOST" || deadline.signal.aborted) throw error;
    return await ask();
  }
}

/** As {@linkcode askRole}; beside the pool when that has no connection to give. */
export async function findRole(ask: AskOptions, beside: BesideOptions): Promise<ServerRole> {
  try {
    return await askRole(ask);
  } catch (error) {
    if (classify(error).code !== "ACQUIRE_TIMEOUT") throw error;
    return await askBeside(beside, ask.signal);
  }
}

/**
 * Asks in a new session beside the pool. That also works while every connection of the pool is in
 * use, and sees what sessions that keep their old settings do not.
 *
 * @throws {DatabaseError} `PING_TIMEOUT`, connect errors, or `ABORTED`.
 */
export async function askBeside(
  { config, connectOptions, clock }: BesideOptions,
  signal: AbortSignal | undefined,
): Promise<ServerRole> {
  await using connection = await connect(config, { ...connectOptions, signal });
  const { pingTimeoutMs: timeoutMs } = config;
  using deadline = new Deadline({ timeoutMs, signal, clock, onTimeout: () => noAnswer(timeoutMs) });
  return await roleOf(connection, deadline.signal);
}

/** A session that gives no answer in time is not used again. */
async function roleOf(connection: Connection, signal: AbortSignal): Promise<ServerRole> {
  const onAbort = () => connection.destroy(abortReason(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await connection.role();
  } catch (error) {
    throw connection.explain(error);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function noAnswer(timeoutMs: number): DatabaseError {
  return new DatabaseError("PING_TIMEOUT", { message: `No answer within ${timeoutMs} ms` });
}

/** A pool that is merely busy must not look like a database that is gone. */
function noConnection(timeoutMs: number, { inUse, max }: PoolStats): DatabaseError {
  if (inUse < max) return noAnswer(timeoutMs);
  return new DatabaseError("ACQUIRE_TIMEOUT", {
    message: `All ${max} connections were in use for ${timeoutMs} ms (DB_MAX_CONNECTIONS)`,
  });
}
