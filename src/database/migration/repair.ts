import type { DatabaseConfig } from "../../config/mod.ts";
import type { Sql } from "../connection/sql.ts";
import { OWN_MIGRATIONS, readMigrations } from "./files.ts";
import { requireVersion } from "./plan.ts";
import { type MigrationOptions, withLock } from "./session.ts";

/**
 * Records that the schema has this version and is not dirty. Runs no script. Unlike golang-migrate
 * it refuses a version without a file, after which nothing could be migrated.
 *
 * @param version Undefined when no migration is applied.
 * @throws {DatabaseError} `MIGRATION_FAILED` when no file has the version; `MIGRATION_LOCKED`;
 * `POOLER_MISMATCH`; `ABORTED`; or a connect error.
 */
export async function forceVersion(
  config: DatabaseConfig,
  version: number | undefined,
  options: MigrationOptions = {},
): Promise<void> {
  const { directory = OWN_MIGRATIONS } = options;
  if (version !== undefined) requireVersion(version, await readMigrations(directory));
  await withLock(config, options, async (session) => {
    await session.transaction(async () => {
      await session.versionTable.write({ version, dirty: false });
      await session.historyTable.removeAfter(version);
    });
  });
}

/**
 * Drops everything in the schema that belongs to no extension, in one transaction. golang-migrate
 * drops only the tables, after which the first migration fails on what is left.
 *
 * @returns How many objects were dropped, without those that another one's `cascade` dropped.
 * @throws {DatabaseError} `MIGRATION_LOCKED`; `POOLER_MISMATCH`; `ABORTED`; a connect error; or what
 * the server answers, such as `INSUFFICIENT_PRIVILEGE`. Nothing is dropped then.
 */
export function dropSchema(
  config: DatabaseConfig,
  options: MigrationOptions = {},
): Promise<number> {
  return withLock(config, options, async (session) => {
    let count = 0;
    await session.transaction(async () => {
      // One kind after the other: the next query no longer finds what a cascade has dropped.
      for (const findDrops of [findRelations, findRoutines, findTypes]) {
        for (const { statement } of await findDrops(session.sql, session.schema)) {
          await session.script(statement);
          count++;
        }
      }
    });
    return count;
  });
}

/** The statements that drop the objects of one kind. */
type Drops = Promise<readonly { readonly statement: string }[]>;

/** "if exists", because a view or a partition can be dropped with the table before it. */
function findRelations(sql: Sql, schema: string): Drops {
  return sql<{ statement: string }>`
    select format('drop %s if exists %I.%I cascade', case relkind
      when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
      when 'f' then 'foreign table' else 'table' end, ${schema}::text, relname) as statement
    from pg_class c
    where relnamespace = quote_ident(${schema})::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S', 'f')
      and not exists (select from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i', 'e'))
    order by relkind = 'S', relname
  `;
}

function findRoutines(sql: Sql, schema: string): Drops {
  return sql<{ statement: string }>`
    select format('drop routine if exists %s cascade', p.oid::regprocedure) as statement
    from pg_proc p
    where pronamespace = quote_ident(${schema})::regnamespace and not exists (select from pg_depend d
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('i', 'e'))
  `;
}

/** Enums, domains, ranges, and composite types that are no table's. */
function findTypes(sql: Sql, schema: string): Drops {
  return sql<{ statement: string }>`
    select format('drop type if exists %I.%I cascade', ${schema}::text, typname) as statement
    from pg_type t left join pg_class c on c.oid = t.typrelid
    where typnamespace = quote_ident(${schema})::regnamespace and typtype in ('e', 'd', 'r', 'c')
      and (c.oid is null or c.relkind = 'c') and not exists (select from pg_depend d
        where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
  `;
}
