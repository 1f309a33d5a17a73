import type { Sql } from "../connection/sql.ts";
import { DatabaseError } from "../errors.ts";

export const MIGRATION_TABLE = "schema_migrations";

/** How golang-migrate writes "no version": in the table only together with dirty. */
const NO_VERSION = -1;

/** What the table says about the schema. */
export interface SchemaVersion {
  /** Undefined before the first migration, which says something only when it is dirty. */
  readonly version: number | undefined;
  /** A migration to this version began and did not end well, or still runs. */
  readonly dirty: boolean;
}

/**
 * The table with which golang-migrate keeps its books, so that either tool can go on where the other
 * stopped: one row, dirty while a script runs.
 *
 * Source: golang-migrate, database/postgres/postgres.go.
 */
export class MigrationTable {
  readonly #sql: Sql;
  readonly #schema: string;

  constructor(sql: Sql, schema: string) {
    this.#sql = sql;
    this.#schema = schema;
  }

  /** Undefined when there is no version at all. */
  async read(): Promise<SchemaVersion | undefined> {
    if (!await tableExists(this.#sql, this.#schema, MIGRATION_TABLE)) return undefined;
    const [row] = await this.#sql<{ version: string; dirty: boolean }>`
      select version, dirty from ${this.#name} limit 1
    `;
    if (row === undefined) return undefined;
    const version = Number(row.version);
    return { version: version === NO_VERSION ? undefined : version, dirty: row.dirty };
  }

  async create(): Promise<void> {
    if (await tableExists(this.#sql, this.#schema, MIGRATION_TABLE)) return;
    await this.#sql`
      create table ${this.#name} (version bigint not null primary key, dirty boolean not null)
    `;
  }

  /** Replaces the one row. Wants a transaction around it. */
  async write({ version = NO_VERSION, dirty }: SchemaVersion): Promise<void> {
    await this.#sql`truncate ${this.#name}`;
    if (version === NO_VERSION && !dirty) return;
    await this.#sql`insert into ${this.#name} (version, dirty) values (${version}, ${dirty})`;
  }

  get #name() {
    return this.#sql.identifier(this.#schema, MIGRATION_TABLE);
  }
}

/**
 * Asked before "create table", which a read-only database and a role that may not create refuse
 * even with "if not exists".
 */
export async function tableExists(sql: Sql, schema: string, table: string): Promise<boolean> {
  const [row] = await sql<{ exists: boolean }>`
    select exists (
      select from pg_catalog.pg_tables where schemaname = ${schema} and tablename = ${table}
    )
  `;
  return row?.exists === true;
}

/** @throws {DatabaseError} `MIGRATION_DIRTY` when a migration was left unfinished. */
export function refuseDirty(current: SchemaVersion | undefined): void {
  if (current?.dirty !== true) return;
  const { version } = current;
  const at = version === undefined ? "to before the first one" : `to version ${version}`;
  throw new DatabaseError("MIGRATION_DIRTY", {
    message: `The migration ${at} was left unfinished, or is still running. If it is not: repair ` +
      "the schema by hand, then say which version it has: deno task migrate force V",
  });
}
