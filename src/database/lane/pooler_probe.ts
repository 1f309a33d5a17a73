import type { DatabaseConfig } from "../../config/mod.ts";
import type { Clock } from "../clock.ts";
import { connect, type ConnectOptions } from "../connection/connect.ts";
import type { Connection } from "../connection/connection.ts";
import { sharedSession } from "../connection/pooler.ts";
import { abortable, Deadline } from "../deadline.ts";
import { DatabaseError } from "../errors.ts";
import type { Logger } from "../logger.ts";

/** A pooler whose own pool has only one connection lets the second one wait. */
const PROBE_TIMEOUT_MS = 1000;
/** Other clients can come between two statements; not between all of them. */
const ROUNDS = 5;

/** What a {@linkcode probePooler} needs. */
export interface PoolerProbeOptions {
  readonly connectOptions: ConnectOptions;
  readonly signal: AbortSignal;
  readonly logger: Logger;
  readonly clock: Clock;
}

/**
 * Finds out whether DB_POOLER promises more than the pooler keeps, or a pooler that is not there.
 * What every connection can see by itself is no matter of this probe; see `PoolerCheck`.
 *
 * Two connections that are open at the same time never share a session of the server, unless a
 * pooler lends it to them in turns: a free session goes to the next that asks, so they are asked in
 * turns.
 *
 * @throws {DatabaseError} `POOLER_MISMATCH`. Nothing else: what cannot be found out is no fault.
 */
export async function probePooler(
  config: DatabaseConfig,
  { connectOptions, signal, logger, clock }: PoolerProbeOptions,
): Promise<void> {
  if (config.pooler === "none") return;
  using deadline = new Deadline({
    timeoutMs: PROBE_TIMEOUT_MS,
    onTimeout: () => new DatabaseError("PING_TIMEOUT"),
    signal,
    clock,
  });
  const options = { ...connectOptions, signal: deadline.signal };
  try {
    await using first = await connect(config, options);
    if (!first.pooler.isPooled) return warnOfNoPooler(config, logger);
    if (config.pooler !== "session") return;
    await using second = await connect(config, options);
    await compare(first, second, deadline.signal);
  } catch (error) {
    if (error instanceof DatabaseError && error.code === "POOLER_MISMATCH") throw error;
  }
}

async function compare(first: Connection, second: Connection, signal: AbortSignal): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    if (first.pooler.serverPid === second.pooler.serverPid) throw sharedSession("session");
    for (const connection of [first, second]) await abortable(connection.role(), signal);
  }
}

function warnOfNoPooler({ pooler }: DatabaseConfig, logger: Logger): void {
  logger.warn(
    { event: "database.no_pooler", pooler },
    `DB_POOLER is ${pooler}, but the server answers itself. All works, slower than with none`,
  );
}
