import type { Connection } from "../connection/connection.ts";
import { abortReason, DatabaseError } from "../errors.ts";
import { type Clock, sleep } from "../../time.ts";

/**
 * Destroys the connections whose answers can no longer come, as `connection` sees it: the server
 * does not have their session, or has finished the statement that they still wait for. A network or
 * a host can fail without a word. A statement without a time limit would then wait, and keep its
 * place in the pool, until TCP gives up many minutes later.
 *
 * A connection whose statement may still run is not touched. Nor are sessions with another server
 * of the list than that of `connection`, which cannot know them.
 *
 * Source: PostgreSQL documentation, 27.2.3 "pg_stat_activity"; a role sees all of its own sessions.
 *
 * @param options `silenceMs`: how long a finished statement's answer must have been missing.
 * @throws As a statement of `connection` does, and the signal's reason.
 */
export async function endLostSessions(
  connection: Connection,
  inUse: readonly Connection[],
  { silenceMs, signal, clock }: {
    readonly silenceMs: number;
    readonly signal: AbortSignal;
    readonly clock: Clock;
  },
): Promise<void> {
  const here = inUse.filter(({ serverRun }) =>
    serverRun?.address === connection.serverRun?.address
  );
  if (here.length === 0) return;
  const before = await idleSinceOf(connection, here);
  const suspects = new Map<Connection, Connection["wait"]>();
  for (const one of here) {
    // After a restart the server can have given the process id to another session.
    const isThere = one.serverRun?.startedAt === connection.serverRun?.startedAt &&
      before.has(one.backendPid);
    if (!isThere) one.destroy(lost("The server no longer has the session"));
    else if (before.get(one.backendPid) !== null && one.wait) suspects.set(one, one.wait);
  }
  if (suspects.size === 0) return;

  // The statement can still be on its way to the server, or a long answer on its way back.
  await sleep(silenceMs, signal, clock, abortReason);
  const after = await idleSinceOf(connection, [...suspects.keys()]);
  for (const [one, wait] of suspects) {
    const { backendPid } = one;
    const isSilent = one.wait?.statement === wait?.statement &&
      one.wait?.heardCount === wait?.heardCount;
    const hasEnded = after.get(backendPid) === before.get(backendPid);
    if (isSilent && hasEnded) one.destroy(lost("The server's answer was lost"));
  }
}

/** By process id, for the sessions that exist: since when nothing runs; null while something does. */
async function idleSinceOf(
  connection: Connection,
  sessions: readonly Connection[],
): Promise<ReadonlyMap<number, string | null>> {
  const pids = sessions.map(({ backendPid }) => backendPid);
  const rows = await connection.sql<{ pid: number; idle_since: string | null }>`
    select pid, case when state like 'idle%' then state_change::text end as idle_since
    from pg_catalog.pg_stat_activity where pid = any(${pids}::int[])
  `;
  return new Map(rows.map(({ pid, idle_since }) => [pid, idle_since]));
}

function lost(message: string): DatabaseError {
  return new DatabaseError("CONNECTION_LOST", { message });
}
