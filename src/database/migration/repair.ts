import type { DatabaseConfig } from "../../config/mod.ts";
import type { Sql } from "../connection/sql.ts";
import { type MigrationOptions, withLock } from "./locked_session.ts";
import { OWN_MIGRATIONS, readMigrations } from "./migration_files.ts";
import { requireVersion } from "./plan.ts";

/**
 * Says which version the schema has, and that it is not dirty, without running anything.
 * golang-migrate takes any version, and with one that has no file nothing can be run afterwards.
 *
 * @param version Undefined for none.
 * @throws {DatabaseError} `MIGRATION_FAILED` when no file has the version, `MIGRATION_LOCKED`, or a
 * connect error.
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
      await session.table.write({ version, dirty: false });
      await session.log.forgetAfter(version);
    });
  });
}

/**
 * Drops everything in the schema that belongs to no extension, in one transaction: all or nothing.
 * golang-migrate drops the tables only, after which the first migration cannot be applied again if
 * it makes anything else.
 *
 * @returns How many objects were dropped; those that went with others are not counted.
 * @throws {DatabaseError} `MIGRATION_LOCKED`, a connect error, or what the server refuses.
 */
export function dropSchema(
  config: DatabaseConfig,
  options: MigrationOptions = {},
): Promise<number> {
  return withLock(config, options, async (session) => {
    const { sql, schema } = session;
    let count = 0;
    await session.transaction(async () => {
      // One kind after the other: what has gone with its owner by then is not found any more.
      for (const find of [findRelations, findRoutines, findTypes]) {
        for (const { statement } of await find(sql, schema)) {
          await session.script(statement);
          count++;
        }
      }
    });
    return count;
  });
}

type Found = PromiseLike<readonly { readonly statement: string }[]>;

/** "if exists", because a view or a partition can go with the table before it. */
function findRelations(sql: Sql, schema: string): Found {
  return sql<{ statement: string }>`
    select format('drop %s if exists %I.%I cascade', case relkind
      when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
      when 'f' then 'foreign table' else 'table' end, ${schema}::text, relname) as statement
    from pg_class c
    where relnamespace = ${schema}::text::regnamespace and relkind in ('r', 'p', 'v', 'm', 'S', 'f')
      and not exists (select from pg_depend d
        where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('a', 'i', 'e'))
    order by relkind = 'S', relname
  `;
}

function findRoutines(sql: Sql, schema: string): Found {
  return sql<{ statement: string }>`
    select format('drop routine if exists %s cascade', p.oid::regprocedure) as statement
    from pg_proc p
    where pronamespace = ${schema}::text::regnamespace and not exists (select from pg_depend d
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('i', 'e'))
  `;
}

/** Enums, domains, ranges and composite types that were made on their own. */
function findTypes(sql: Sql, schema: string): Found {
  return sql<{ statement: string }>`
    select format('drop type if exists %I.%I cascade', ${schema}::text, typname) as statement
    from pg_type t left join pg_class c on c.oid = t.typrelid
    where typnamespace = ${schema}::text::regnamespace and typtype in ('e', 'd', 'r', 'c')
      and (c.oid is null or c.relkind = 'c') and not exists (select from pg_depend d
        where d.classid = 'pg_type'::regclass and d.objid = t.oid and d.deptype = 'e')
  `;
}
