import type { Connection } from "../connection/connection.ts";
import { DatabaseError } from "../errors.ts";

/**
 * Destroys the connections whose sessions the server does not have any more, as `connection` sees
 * it: the network or a host can die without a word, and a statement without a deadline would wait,
 * and keep its place in the pool, until TCP gives up many minutes later. What the server still has
 * is left alone, because a statement may well run there.
 *
 * Source: PostgreSQL documentation, 27.2.3 "pg_stat_activity", whose `pid` every role can see.
 */
export async function endLostSessions(
  connection: Connection,
  inUse: readonly Connection[],
): Promise<void> {
  if (inUse.length === 0) return;
  const pids = `{${inUse.map(({ backendPid }) => backendPid)}}`;
  const rows = await connection.sql<{ pid: number }[]>`
    select pid from pg_catalog.pg_stat_activity where pid = any(${pids}::int[])
  `;
  const there = new Set(rows.map(({ pid }) => pid));
  for (const one of inUse) {
    // Another run of the server, or another server, can have given the number to somebody else.
    const isThere = one.serverStartedAt === connection.serverStartedAt && there.has(one.backendPid);
    if (!isThere) one.destroy(sessionGone());
  }
}

function sessionGone(): DatabaseError {
  return new DatabaseError("CONNECTION_LOST", {
    message: "The server does not have the session any more",
  });
}
