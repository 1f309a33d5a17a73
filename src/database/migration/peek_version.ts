import type { DatabaseManager } from "../manager.ts";
import { MIGRATION_TABLE, MigrationTable, type SchemaVersion } from "./migration_table.ts";

/**
 * The version of the schema, read through the pool and with the rights of the service. Undefined
 * before the first migration, and when the service may not read the table.
 *
 * @throws {DatabaseError} As `DatabaseManager.withConnection`.
 */
export function peekSchemaVersion(
  database: Pick<DatabaseManager, "config" | "withConnection">,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<SchemaVersion | undefined> {
  const { schema } = database.config;
  return database.withConnection(async (sql) => {
    const [access] = await sql<{ readable: boolean | null }[]>`
      select has_table_privilege(
        to_regclass(format('%I.%I', ${schema}::text, ${MIGRATION_TABLE}::text)), 'select'
      ) as readable
    `;
    return access?.readable === true ? await new MigrationTable(sql, schema).read() : undefined;
  }, { access: "read", timeoutMs });
}
