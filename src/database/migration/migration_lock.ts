import { crc32 } from "node:zlib";
import { systemClock } from "../clock.ts";
import type { Sql } from "../connection/sql.ts";
import { sleep } from "../deadline.ts";
import { DatabaseError } from "../errors.ts";
import { MIGRATION_TABLE } from "./migration_table.ts";

/** golang-migrate's `advisoryLockIDSalt`. */
const LOCK_SALT = 1486364155;

/** Between two tries: a random part of it, so that waiting replicas do not ask in step. */
const POLL_INTERVAL_MS = 250;

/** Settings of {@linkcode MigrationLock.acquire}. */
export interface LockOptions {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
  /** Called once, when somebody else has the lock. */
  readonly onWait: () => void;
}

/**
 * Keeps two processes from migrating the same schema at the same time, also when one of them is
 * golang-migrate. The lock is the session's: a process that is killed loses it when the server has
 * ended its session, which is after the statement that still runs there.
 *
 * golang-migrate has two keys: its command line takes the name of the database from the path of its
 * URL, with the slash before it, and its library asks the server. Both are held.
 */
export class MigrationLock {
  readonly #sql: Sql;
  /** Always taken in this order. */
  readonly #ids: readonly [number, number];

  constructor(sql: Sql, schema: string, database: string) {
    this.#sql = sql;
    this.#ids = [advisoryLockId(schema, database), advisoryLockId(schema, `/${database}`)];
  }

  /**
   * Waits until nobody else migrates this schema, asking again and again: a statement that waits in
   * the server holds a snapshot, and `create index concurrently` of the one that migrates would
   * wait for it in turn.
   *
   * @throws {DatabaseError} `MIGRATION_LOCKED` when the time is over, or the signal's reason.
   */
  async acquire({ timeoutMs, signal, onWait }: LockOptions): Promise<void> {
    const endsAt = systemClock.now() + timeoutMs;
    let isWaiting = false;
    while (!await this.#tryAcquire()) {
      const leftMs = endsAt - systemClock.now();
      if (leftMs <= 0) {
        throw new DatabaseError("MIGRATION_LOCKED", {
          message: `Another process has been migrating the database for ${timeoutMs} ms`,
        });
      }
      if (!isWaiting) onWait();
      isWaiting = true;
      await sleep(Math.min(leftMs, Math.random() * POLL_INTERVAL_MS), signal, systemClock);
    }
  }

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
 * The lock's id, as golang-migrate computes it.
 *
 * ```ts
 * advisoryLockId("public", "treasury"); // 2386449009
 * ```
 *
 * Source: golang-migrate, database/util.go and database/postgres/postgres.go.
 */
export function advisoryLockId(schema: string, database: string): number {
  const checksum = crc32([schema, MIGRATION_TABLE, database].join("\0"));
  return Math.imul(checksum, LOCK_SALT) >>> 0;
}
