import { connect } from "../connection/connect.ts";
import type { Connection } from "../connection/connection.ts";
import { sharedSession } from "../connection/pooler.ts";
import { abortReason, DatabaseError } from "../errors.ts";
import type { PoolContext } from "./context.ts";
import { abortable, Deadline } from "../../time.ts";

/** A pooler whose own pool has only one connection makes the second one wait. */
const PROBE_TIMEOUT_MS = 1000;
/** Other clients can come between two statements, but not between all of them. */
const ROUNDS = 5;

/**
 * Checks whether `DB_POOLER` promises more than the pooler keeps, or names a pooler that is not
 * there. What one connection can see by itself is checked when it connects.
 *
 * Two connections that are open at the same time never share a session of the server, unless a
 * pooler lends it to them in turns. A free session goes to the next that asks, so they ask in turns.
 *
 * @throws {DatabaseError} `POOLER_MISMATCH`. Nothing else: what cannot be found out is no error.
 */
export async function probePooler(context: PoolContext, signal: AbortSignal): Promise<void> {
  const { config, connectOptions, clock } = context;
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
    if (!first.pooler.isPooled) return warnOfNoPooler(context);
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
    for (const connection of [first, second]) {
      await abortable(connection.role(), signal, abortReason);
    }
  }
}

function warnOfNoPooler({ config: { pooler }, logger }: PoolContext): void {
  logger.warn(
    { event: "database.no_pooler", pooler },
    `DB_POOLER is ${pooler}, but there is no pooler in front of the server. ` +
      "Everything works, slower than with DB_POOLER=none",
  );
}
