import type { DatabaseManager } from "../manager.ts";
import { MIGRATION_TABLE, MigrationTable, type SchemaVersion } from "./migration_table.ts";

/**
 * The version of the schema, read through the pool and with the rights of the service: 0 before
 * the first migration, undefined when the service may not read the table.
 *
 * @throws {DatabaseError} As `DatabaseManager.withConnection`.
 */
export function peekSchemaVersion(
  database: Pick<DatabaseManager, "config" | "withConnection">,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<SchemaVersion | undefined> {
  const { schema } = database.config;
  return database.withConnection(async (sql) => {
    const [access] = await sql<{ readable: boolean | null }>`
      select has_table_privilege(
        to_regclass(format('%I.%I', ${schema}::text, ${MIGRATION_TABLE}::text)), 'select'
      ) as readable
    `;
    if (access?.readable === false) return undefined;
    const exists = access?.readable === true;
    const read = exists ? await new MigrationTable(sql, schema).read() : undefined;
    return read ?? { version: 0, dirty: false };
  }, { access: "read", timeoutMs });
}
