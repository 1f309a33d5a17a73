import { DatabaseError } from "../errors.ts";
import type { PoolStats } from "./stats.ts";

/** The error for a caller that waited too long. */
export function acquireTimeout(timeoutMs: number, stats: PoolStats): DatabaseError {
  return new DatabaseError("ACQUIRE_TIMEOUT", {
    message: `No database connection within ${timeoutMs} ms: ` +
      `${situation(stats)} (DB_MAX_CONNECTIONS, DB_ACQUIRE_TIMEOUT)`,
  });
}

/** The error for a caller that may not even wait. */
export function queueFull(stats: PoolStats): DatabaseError {
  return new DatabaseError("QUEUE_FULL", {
    message: "Too many callers wait for a database connection: " +
      `${situation(stats)} (DB_MAX_CONNECTIONS, DB_ACQUIRE_QUEUE_LIMIT)`,
  });
}

function situation({ max, inUse, connecting, waiting }: PoolStats): string {
  return `${inUse} of ${max} in use, ${connecting} connecting, ${waiting} waiting`;
}
