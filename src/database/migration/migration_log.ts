import type { Sql } from "../connection/sql.ts";
import { checksumOf, type Migration } from "./migration_files.ts";
import { tableExists } from "./migration_table.ts";

export const LOG_TABLE = "schema_migrations_log";

/** What is known of a migration that the schema has. */
export interface LogEntry {
  readonly version: number;
  /** Of the file that took the schema up, when it was applied or first seen as applied. */
  readonly checksum: string;
  /** Undefined when another tool, such as golang-migrate, has applied it. */
  readonly appliedAt: Date | undefined;
  /** The role that applied it; undefined as well. */
  readonly appliedBy: string | undefined;
}

/**
 * What golang-migrate's one row cannot say: which files the schema was made from. A table beside it,
 * which golang-migrate neither reads nor writes, so it may lag behind; see {@linkcode reconcile}.
 */
export class MigrationLog {
  readonly #sql: Sql;
  readonly #schema: string;

  constructor(sql: Sql, schema: string) {
    this.#sql = sql;
    this.#schema = schema;
  }

  /** In the order of versions; empty when there is no table. */
  async read(): Promise<LogEntry[]> {
    if (!await tableExists(this.#sql, this.#schema, LOG_TABLE)) return [];
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

  async create(): Promise<void> {
    if (await tableExists(this.#sql, this.#schema, LOG_TABLE)) return;
    await this.#sql`
      create table ${this.#name} (
        version bigint not null primary key,
        checksum text not null,
        applied_at timestamptz,
        applied_by text
      )
    `;
  }

  /** Notes a migration that was applied just now. */
  async record({ version, checksum }: Pick<LogEntry, "version" | "checksum">): Promise<void> {
    await this.#sql`
      insert into ${this.#name} (version, checksum, applied_at, applied_by)
      values (${version}, ${checksum}, now(), session_user)
    `;
  }

  /** Notes what another tool has applied. */
  async adopt(entries: readonly LogEntry[]): Promise<void> {
    for (const { version, checksum } of entries) {
      await this.#sql`
        insert into ${this.#name} (version, checksum) values (${version}, ${checksum})
        on conflict do nothing
      `;
    }
  }

  /** Forgets what the schema does not have any more. */
  async forgetAfter(version: number | undefined): Promise<void> {
    await this.#sql`delete from ${this.#name} where version > ${version ?? -1}`;
  }

  get #name() {
    return this.#sql.identifier(this.#schema, LOG_TABLE);
  }
}

/**
 * What the log would say had it heard of everything: without what another tool has reverted, and
 * with the files that it must have applied since the last entry.
 */
export function reconcile(
  entries: readonly LogEntry[],
  current: number | undefined,
  migrations: readonly Migration[],
): LogEntry[] {
  if (current === undefined) return [];
  const known = entries.filter(({ version }) => version <= current);
  const last = known.at(-1)?.version ?? -1;
  const adopted = migrations.flatMap(({ version, up }) =>
    version > last && version <= current && up !== undefined
      ? [{ version, checksum: checksumOf(up), appliedAt: undefined, appliedBy: undefined }]
      : []
  );
  return [...known, ...adopted];
}
