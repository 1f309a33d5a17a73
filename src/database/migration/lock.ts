import { crc32 } from "node:zlib";
import type { Sql } from "../connection/sql.ts";
import { abortReason, DatabaseError } from "../errors.ts";
import { VERSION_TABLE } from "./tables.ts";
import { sleep, systemClock } from "../../time.ts";

/** golang-migrate's `advisoryLockIDSalt`. */
const LOCK_SALT = 1486364155;

/** Longest pause between two attempts. Each one is random, so that waiting instances spread out. */
const POLL_INTERVAL_MS = 250;

/**
 * The advisory lock that keeps two processes from migrating the same schema at the same time, also
 * when one of them is golang-migrate. It belongs to the session: when a process is killed, the
 * server releases the lock at the end of its session, after the statement that still runs there.
 *
 * golang-migrate computes two different ids: its command line takes the name of the database from
 * the path of its URL, with the slash before it, and its library asks the server. Both are held.
 */
export class MigrationLock {
  readonly #sql: Sql;
  /** Always acquired in this order. */
  readonly #ids: readonly [number, number];

  constructor(sql: Sql, schema: string, database: string) {
    this.#sql = sql;
    this.#ids = [advisoryLockId(schema, database), advisoryLockId(schema, `/${database}`)];
  }

  /**
   * Waits until no other process migrates this schema. It polls, because a statement that waits in
   * the server holds a snapshot, and `create index concurrently` of the process that migrates would
   * wait for that in turn.
   *
   * @param onWait Called once, when another process has the lock.
   * @throws {DatabaseError} `MIGRATION_LOCKED` after `timeoutMs`, or the reason of `signal`.
   */
  async acquire(
    timeoutMs: number,
    { signal, onWait }: { readonly signal: AbortSignal; readonly onWait: () => void },
  ): Promise<void> {
    const endsAt = systemClock.now() + timeoutMs;
    let isWaiting = false;
    while (!await this.#tryAcquire()) {
      const leftMs = endsAt - systemClock.now();
      if (leftMs <= 0) {
        throw new DatabaseError("MIGRATION_LOCKED", {
          message: `Another process held the migration lock for ${timeoutMs} ms: wait until it ` +
            "ends, or find its session in pg_locks (locktype advisory)",
        });
      }
      if (!isWaiting) onWait();
      isWaiting = true;
      const delayMs = Math.min(leftMs, Math.random() * POLL_INTERVAL_MS);
      await sleep(delayMs, signal, systemClock, abortReason);
    }
  }

  /** Lets the next process migrate. */
  async release(): Promise<void> {
    for (const id of this.#ids) await this.#sql`select pg_advisory_unlock(${id}::bigint)`;
  }

  async #tryAcquire(): Promise<boolean> {
    const [first, second] = this.#ids;
    const [row] = await this.#sql<{ both: boolean | null }>`
      select case when pg_try_advisory_lock(${first}::bigint)
        then pg_try_advisory_lock(${second}::bigint) end as both
    `;
    if (row?.both === false) await this.#sql`select pg_advisory_unlock(${first}::bigint)`;
    return row?.both === true;
  }
}

/**
 * The id of the advisory lock, as golang-migrate computes it.
 *
 * ```ts
 * import assert from "node:assert/strict";
 *
 * assert.equal(advisoryLockId("public", "treasury"), 2386449009);
 * ```
 *
 * Source: golang-migrate, database/util.go and database/postgres/postgres.go.
 */
export function advisoryLockId(schema: string, database: string): number {
  const checksum = crc32([schema, VERSION_TABLE, database].join("\0"));
  return Math.imul(checksum, LOCK_SALT) >>> 0;
}
