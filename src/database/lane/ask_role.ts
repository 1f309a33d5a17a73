import type { DatabaseConfig } from "../../config/mod.ts";
import type { Clock } from "../clock.ts";
import { connect, type ConnectOptions } from "../connection/connect.ts";
import type { Connection, ServerRole } from "../connection/connection.ts";
import { Deadline } from "../deadline.ts";
import { abortReason, classify, DatabaseError } from "../errors.ts";
import { endLostSessions } from "./lost_sessions.ts";
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

/** How {@linkcode askBesideFull} connects, and beside what. */
export interface BesideFullOptions extends BesideOptions {
  readonly pool: { readonly inUse: readonly Connection[] };
}

/**
 * Asks the server for its role on a connection of the pool.
 *
 * @throws {DatabaseError} `PING_TIMEOUT`, `ACQUIRE_TIMEOUT` when every connection was in use all
 * the time, connect errors, or `ABORTED`.
 */
export async function askRole(options: AskOptions): Promise<ServerRole> {
  const { lend, stats, timeoutMs, signal, clock } = options;
  // A connection that is lent for nothing would be destroyed.
  if (signal?.aborted) throw abortReason(signal);
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
      return answerOf(connection, deadline.signal, (connection) => connection.role());
    }, deadline.signal);
  try {
    return await ask();
  } catch (error) {
    // An idle connection can have died unnoticed: that is no news of the database.
    if (classify(error).code !== "CONNECTION_LOST" || deadline.signal.aborted) throw error;
    return await ask();
  }
}

/** As {@linkcode askRole}; as {@linkcode askBesideFull} when the pool has no connection to give. */
export async function findRole(ask: AskOptions, beside: BesideFullOptions): Promise<ServerRole> {
  try {
    return await askRole(ask);
  } catch (error) {
    if (classify(error).code !== "ACQUIRE_TIMEOUT") throw error;
    return await askBesideFull(beside, ask.signal);
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
  ask = (connection: Connection) => connection.role(),
): Promise<ServerRole> {
  await using connection = await connect(config, { ...connectOptions, signal });
  const { pingTimeoutMs: timeoutMs } = config;
  using deadline = new Deadline({ timeoutMs, signal, clock, onTimeout: () => noAnswer(timeoutMs) });
  return await answerOf(connection, deadline.signal, ask);
}

/**
 * As {@linkcode askBeside}, beside a pool whose places are all taken: those whose sessions are lost
 * are free after it. A pooler has other sessions than its server, so behind one nobody can tell.
 */
export function askBesideFull(
  options: BesideFullOptions,
  signal: AbortSignal | undefined,
): Promise<ServerRole> {
  const { config, pool } = options;
  return askBeside(options, signal, async (connection) => {
    const role = await connection.role();
    if (config.pooler === "none") await endLostSessions(connection, pool.inUse);
    return role;
  });
}

/** A session that gives no answer in time is not used again. */
async function answerOf(
  connection: Connection,
  signal: AbortSignal,
  ask: (connection: Connection) => Promise<ServerRole>,
): Promise<ServerRole> {
  const onAbort = () => connection.destroy(abortReason(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await ask(connection);
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
