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

/** Asks a server on a connection; the signal ends it with the connection. */
type Ask = (connection: Connection, signal: AbortSignal) => Promise<ServerRole>;

/**
 * Asks the server for its role on a connection of the pool.
 *
 * @throws {DatabaseError} `PING_TIMEOUT`, `ACQUIRE_TIMEOUT` when others had every connection all
 * the time, connect errors, or `ABORTED`.
 */
export async function askRole(options: AskOptions): Promise<ServerRole> {
  const { lend, stats, timeoutMs, signal, clock } = options;
  // A connection that is lent for nothing would be destroyed.
  if (signal?.aborted) throw abortReason(signal);
  let isAsking = false;
  const { acquireCount } = stats();
  using deadline = new Deadline({
    timeoutMs,
    signal,
    clock,
    onTimeout: () =>
      isAsking ? noAnswer(timeoutMs) : noConnection(timeoutMs, stats(), acquireCount),
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
  const { inUse, closing, max } = ask.stats();
  if (inUse + closing >= max) return await askBesideFull(beside, ask.signal);
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
  ask: Ask = (connection) => connection.role(),
): Promise<ServerRole> {
  await using connection = await connect(config, { ...connectOptions, signal });
  const { pingTimeoutMs: timeoutMs } = config;
  using deadline = new Deadline({ timeoutMs, signal, clock, onTimeout: () => noAnswer(timeoutMs) });
  return await answerOf(connection, deadline.signal, ask);
}

/**
 * As {@linkcode askBeside}, beside a pool whose places are all taken: those whose sessions or answers
 * are lost are free after it. A pooler has other sessions than its server, so behind one nobody can
 * tell.
 */
export function askBesideFull(
  options: BesideFullOptions,
  signal: AbortSignal | undefined,
): Promise<ServerRole> {
  const { config, pool, clock } = options;
  return askBeside(options, signal, async (connection, signal) => {
    const role = await connection.role();
    if (config.pooler !== "none") return role;
    // A part of the time that the whole look has.
    const silenceMs = config.pingTimeoutMs / 4;
    await endLostSessions(connection, pool.inUse, { silenceMs, signal, clock });
    return role;
  });
}

/** A session that gives no answer in time is not used again. */
async function answerOf(
  connection: Connection,
  signal: AbortSignal,
  ask: Ask,
): Promise<ServerRole> {
  const onAbort = () => connection.destroy(abortReason(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await ask(connection, signal);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function noAnswer(timeoutMs: number): DatabaseError {
  return new DatabaseError("PING_TIMEOUT", { message: `No answer within ${timeoutMs} ms` });
}

/**
 * A pool that is merely busy must not look like a database that is gone: while others get
 * connections the database works, also when some are being opened at this very moment.
 */
function noConnection(timeoutMs: number, now: PoolStats, acquireCount: number): DatabaseError {
  const { inUse, max } = now;
  if (inUse < max && now.acquireCount === acquireCount) return noAnswer(timeoutMs);
  return new DatabaseError("ACQUIRE_TIMEOUT", {
    message: `No connection was free for ${timeoutMs} ms: ${inUse} of ${max} are in use ` +
      "(DB_MAX_CONNECTIONS)",
  });
}
