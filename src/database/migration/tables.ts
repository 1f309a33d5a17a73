import type { Sql } from "../connection/sql.ts";
import { DatabaseError } from "../errors.ts";
import { checksumOf, type Migration } from "./files.ts";

/** golang-migrate's table: the version of the schema. */
export const VERSION_TABLE = "schema_migrations";

/** The table beside it, which golang-migrate does not know: what each version was made from. */
const HISTORY_TABLE = "schema_migrations_log";

/** How golang-migrate writes "no version". A row with it is always dirty. */
const NO_VERSION = -1;

/** The version of the schema, as `schema_migrations` has it. */
export interface SchemaVersion {
  /** Undefined when no migration is applied; `dirty` is true then, or there would be no row. */
  readonly version: number | undefined;
  /** The migration to this version failed, was interrupted, or still runs. */
  readonly dirty: boolean;
}

/**
 * `schema_migrations`: one row with the version, dirty while a script runs. It is golang-migrate's,
 * so that each of the two tools can continue where the other stopped.
 *
 * Source: golang-migrate, database/postgres/postgres.go.
 */
export class VersionTable {
  readonly #sql: Sql;
  readonly #schema: string;

  constructor(sql: Sql, schema: string) {
    this.#sql = sql;
    this.#schema = schema;
  }

  /** Undefined when there is no table or no row: no migration was ever applied, or all were reverted. */
  async read(): Promise<SchemaVersion | undefined> {
    if (!await tableExists(this.#sql, this.#schema, VERSION_TABLE)) return undefined;
    const [row] = await this.#sql<{ version: string; dirty: boolean }>`
      select version, dirty from ${this.#name} limit 1
    `;
    if (row === undefined) return undefined;
    const version = Number(row.version);
    return { version: version === NO_VERSION ? undefined : version, dirty: row.dirty };
  }

  /** Whether the role has the `select` privilege; undefined when there is no table. */
  async isReadable(): Promise<boolean | undefined> {
    const [row] = await this.#sql<{ readable: boolean | null }>`
      select has_table_privilege(
        to_regclass(format('%I.%I', ${this.#schema}::text, ${VERSION_TABLE}::text)), 'select'
      ) as readable
    `;
    return row?.readable ?? undefined;
  }

  /** Creates the table where there is none. */
  async create(): Promise<void> {
    if (await tableExists(this.#sql, this.#schema, VERSION_TABLE)) return;
    await this.#sql`
      create table ${this.#name} (version bigint not null primary key, dirty boolean not null)
    `;
  }

  /** Replaces the row. Call it in a transaction. */
  async write({ version = NO_VERSION, dirty }: SchemaVersion): Promise<void> {
    await this.#sql`truncate ${this.#name}`;
    if (version === NO_VERSION && !dirty) return;
    await this.#sql`insert into ${this.#name} (version, dirty) values (${version}, ${dirty})`;
  }

  get #name() {
    return tableName(this.#sql, this.#schema, VERSION_TABLE);
  }
}

/**
 * Refuses to go on with a dirty schema.
 *
 * @throws {DatabaseError} `MIGRATION_DIRTY`, with what to do.
 */
export function requireClean(current: SchemaVersion | undefined): void {
  if (current?.dirty !== true) return;
  const { version } = current;
  const at = version === undefined ? "no version" : `version ${version}`;
  throw new DatabaseError("MIGRATION_DIRTY", {
    message: `The schema is dirty: the migration to ${at} failed, or is still running. If none ` +
      "is running, repair the schema by hand, then run: deno task migrate force V, where V is " +
      "the version that the schema has now (-1 for none)",
  });
}

/** A migration that is applied, as the history has it. */
export interface AppliedMigration {
  /** Its version, as in the file name. */
  readonly version: number;
  /** SHA-256 of the up file when it was applied, or when this tool first saw that it is. */
  readonly checksum: string;
  /** Undefined when another tool, such as golang-migrate, applied it. */
  readonly appliedAt: Date | undefined;
  /** The role that applied it; undefined when another tool did. */
  readonly appliedBy: string | undefined;
}

/**
 * `schema_migrations_log`: a row for each migration that is applied. golang-migrate neither reads
 * nor writes it, so it can be behind; {@linkcode reconcile} corrects that.
 */
export class HistoryTable {
  readonly #sql: Sql;
  readonly #schema: string;

  constructor(sql: Sql, schema: string) {
    this.#sql = sql;
    this.#schema = schema;
  }

  /** Ordered by version; empty when there is no table. */
  async read(): Promise<AppliedMigration[]> {
    if (!await tableExists(this.#sql, this.#schema, HISTORY_TABLE)) return [];
    const rows = await this.#sql<
      { version: string; checksum: string; applied_at: Date | null; applied_by: string | null }
    >`select version, checksum, applied_at, applied_by from ${this.#name} order by version`;
    return rows.map(({ version, checksum, applied_at, applied_by }) => ({
      version: Number(version),
      checksum,
      appliedAt: applied_at ?? undefined,
      appliedBy: applied_by ?? undefined,
    }));
  }

  /** Creates the table where there is none. */
  async create(): Promise<void> {
    if (await tableExists(this.#sql, this.#schema, HISTORY_TABLE)) return;
    await this.#sql`
      create table ${this.#name} (
        version bigint not null primary key,
        checksum text not null,
        applied_at timestamptz,
        applied_by text
      )
    `;
  }

  /** Adds a migration that was applied just now, by this role. */
  async add({ version, checksum }: Pick<AppliedMigration, "version" | "checksum">): Promise<void> {
    await this.#sql`
      insert into ${this.#name} (version, checksum, applied_at, applied_by)
      values (${version}, ${checksum}, now(), session_user)
    `;
  }

  /** Adds those that another tool applied: without a time and a role. */
  async addMissing(applied: readonly AppliedMigration[]): Promise<void> {
    for (const { version, checksum } of applied) {
      await this.#sql`
        insert into ${this.#name} (version, checksum) values (${version}, ${checksum})
        on conflict do nothing
      `;
    }
  }

  /** Removes the migrations after a version, or all when it is undefined: they are reverted. */
  async removeAfter(version: number | undefined): Promise<void> {
    await this.#sql`delete from ${this.#name} where version > ${version ?? -1}`;
  }

  get #name() {
    return tableName(this.#sql, this.#schema, HISTORY_TABLE);
  }
}

/**
 * The history as it would be if golang-migrate wrote it too: without the migrations that it has
 * reverted since, and with those that it must have applied to get to the current version.
 */
export function reconcile(
  history: readonly AppliedMigration[],
  current: number | undefined,
  migrations: readonly Migration[],
): AppliedMigration[] {
  if (current === undefined) return [];
  const known = history.filter(({ version }) => version <= current);
  const last = known.at(-1)?.version ?? -1;
  const missing = migrations.flatMap(({ version, up }) =>
    version > last && version <= current && up !== undefined
      ? [{ version, checksum: checksumOf(up), appliedAt: undefined, appliedBy: undefined }]
      : []
  );
  return [...known, ...missing];
}

function tableName(sql: Sql, schema: string, table: string) {
  return sql.identifier(schema, table);
}

/**
 * Checked before "create table", which a read-only database and a role without the privilege to
 * create refuse even with "if not exists".
 */
async function tableExists(sql: Sql, schema: string, table: string): Promise<boolean> {
  const [row] = await sql<{ exists: boolean }>`
    select exists (
      select from pg_catalog.pg_tables where schemaname = ${schema} and tablename = ${table}
    )
  `;
  return row?.exists === true;
}
