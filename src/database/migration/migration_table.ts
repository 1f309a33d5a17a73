import { crc32 } from "node:zlib";
import type { Sql } from "../connection/driver.ts";
import { classify, DatabaseError } from "../errors.ts";

const TABLE = "schema_migrations";
/** golang-migrate's `advisoryLockIDSalt`. */
const LOCK_SALT = 1486364155;
const LOCK_NOT_AVAILABLE = "55P03";

/** What the table says about the schema. */
export interface SchemaVersion {
  readonly version: number;
  /** A migration to this version began and did not end well. */
  readonly dirty: boolean;
}

/**
 * The table and the advisory lock with which golang-migrate keeps its books, in
 * the first schema of the search path, so that either tool can go on where the
 * other stopped.
 *
 * Source: golang-migrate, database/postgres/postgres.go and database/util.go.
 */
export class MigrationTable {
  readonly #sql: Sql;
  readonly #schema: string;
  readonly #lockId: number;

  private constructor(sql: Sql, schema: string, database: string) {
    this.#sql = sql;
    this.#schema = schema;
    this.#lockId = advisoryLockId(schema, database);
  }

  /** @throws {DatabaseError} `MIGRATION_FAILED` when the schema does not exist. */
  static async open(sql: Sql): Promise<MigrationTable> {
    const [row] = await sql<{ schema: string | null; database: string }[]>`
      select current_schema() as schema, current_database() as database
    `;
    if (!row?.schema) {
      throw new DatabaseError("MIGRATION_FAILED", {
        message: "The schema does not exist; create it, or set DB_SCHEMA to one that does",
      });
    }
    return new MigrationTable(sql, row.schema, row.database);
  }

  /**
   * Waits until nobody else migrates this schema. The lock is the session's: it
   * ends with {@linkcode MigrationTable.unlock} or the connection.
   *
   * @throws {DatabaseError} `MIGRATION_LOCKED` when the time is over.
   */
  async lock(timeoutMs: number): Promise<void> {
    await this.#sql`select set_config('lock_timeout', ${`${timeoutMs}ms`}, false)`;
    try {
      await this.#sql`select pg_advisory_lock(${this.#lockId}::bigint)`;
    } catch (error) {
      const { sqlState } = classify(error);
      if (sqlState !== LOCK_NOT_AVAILABLE) throw error;
      throw new DatabaseError("MIGRATION_LOCKED", {
        message: `Another process has been migrating the database for ${timeoutMs} ms`,
        sqlState,
      });
    }
    await this.#sql`reset lock_timeout`;
  }

  async unlock(): Promise<void> {
    await this.#sql`select pg_advisory_unlock(${this.#lockId}::bigint)`;
  }

  /** Undefined before the first migration. */
  async read(): Promise<SchemaVersion | undefined> {
    if (!await this.#exists()) return undefined;
    const [row] = await this.#sql<{ version: string; dirty: boolean }[]>`
      select version, dirty from ${this.#name} limit 1
    `;
    return row && { version: Number(row.version), dirty: row.dirty };
  }

  /** Replaces the one row, in one transaction. */
  async write({ version, dirty }: SchemaVersion): Promise<void> {
    if (!await this.#exists()) {
      await this.#sql`
        create table ${this.#name} (version bigint not null primary key, dirty boolean not null)
      `;
    }
    await this.#sql`begin`;
    await this.#sql`truncate ${this.#name}`;
    await this.#sql`insert into ${this.#name} (version, dirty) values (${version}, ${dirty})`;
    await this.#sql`commit`;
  }

  // Asked before "create table", which a read-only database would refuse even with "if not exists".
  async #exists(): Promise<boolean> {
    const [row] = await this.#sql<{ exists: boolean }[]>`
      select exists (
        select from pg_catalog.pg_tables where schemaname = ${this.#schema} and tablename = ${TABLE}
      )
    `;
    return row?.exists === true;
  }

  get #name() {
    return this.#sql`${this.#sql(this.#schema)}.${this.#sql(TABLE)}`;
  }
}

/**
 * The lock's id, as golang-migrate computes it, so that the two exclude each other.
 *
 * ```ts
 * advisoryLockId("public", "treasury"); // 2386449009
 * ```
 */
export function advisoryLockId(schema: string, database: string): number {
  const checksum = crc32([schema, TABLE, database].join("\0"));
  return Math.imul(checksum, LOCK_SALT) >>> 0;
}
