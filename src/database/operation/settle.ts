import type { Connection } from "../connection/connection.ts";
import { abortable, Deadline } from "../deadline.ts";
import { DatabaseError } from "../errors.ts";
import type { Gate } from "./gate.ts";
import { GRACE_MS } from "./time_limit.ts";

/** A cancel does nothing between two statements that the driver has sent together. */
const CANCEL_AGAIN_MS = 100;

/**
 * Ends what runs on the connection, and an open transaction; then the connection
 * is as good as new, or it is destroyed. Takes about a second at most, and never
 * rejects. Nothing may be sent through the gate any more.
 *
 * A cancel request overtakes or trails the session's own messages. So after the
 * last one has surely arrived, a fence is sent, a statement to which nothing can
 * happen any more. Only the answer to it proves the connection clean.
 *
 * @param reason What statements fail with that have to be cut off.
 * @returns Whether a transaction was open, and is undone.
 */
export async function settle(
  connection: Connection,
  gate: Gate,
  reason: DatabaseError = new DatabaseError("CONNECTION_LOST"),
): Promise<boolean> {
  if (connection.closed) return false;
  using grace = new Deadline({ timeoutMs: GRACE_MS, onTimeout: () => reason });
  try {
    while (gate.isBusy) {
      await connection.cancel(grace.signal);
      await pause(gate, grace.signal);
    }
    const { isInTransaction } = connection;
    // Outside a transaction it changes nothing, and it may also follow an error.
    await abortable(connection.sql`rollback`.simple(), grace.signal);
    return isInTransaction;
  } catch {
    connection.destroy(reason);
    return false;
  }
}

/** Waits until nothing runs, or for a short time. */
async function pause(gate: Gate, signal: AbortSignal): Promise<void> {
  using short = new Deadline({
    timeoutMs: CANCEL_AGAIN_MS,
    signal,
    onTimeout: () => new DatabaseError("STATEMENT_TIMEOUT"),
  });
  await abortable(gate.untilIdle(), short.signal).catch(() => {});
}
