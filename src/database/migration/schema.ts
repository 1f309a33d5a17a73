import { asMigrator, type DatabaseConfig } from "../../config/mod.ts";
import { DatabaseError } from "../errors.ts";
import { silentLogger } from "../logger.ts";
import type { DatabaseManager } from "../manager.ts";
import { migrateUp } from "./migrate.ts";
import { type MigrationOptions, withSession } from "./session.ts";
import { requireClean, type SchemaVersion, VersionTable } from "./tables.ts";
import { Deadline } from "../../time.ts";

/** `insufficient_privilege`, PostgreSQL appendix A. */
const INSUFFICIENT_PRIVILEGE = "42501";

/**
 * Makes sure that the schema is ready for the service, at its start: migrates it when
 * `DB_MIGRATE_ON_START` is set, and checks whether it is dirty.
 *
 * @returns The reason to refuse writes, when the schema is dirty; undefined when it is ready.
 * @throws {DatabaseError} As {@linkcode migrateUp}, unless that has left the schema dirty.
 */
export async function ensureSchema(
  config: DatabaseConfig,
  options: MigrationOptions = {},
): Promise<DatabaseError | undefined> {
  try {
    if (config.migrateOnStart) await migrateUp(asMigrator(config), options);
    else await checkSchema(config, options);
    return undefined;
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    if (error.code === "MIGRATION_DIRTY") return error;
    // A migration can also fail before a script has run.
    if (error.code !== "MIGRATION_FAILED") throw error;
    const current = await readSchemaVersion(config, options);
    if (current?.dirty === true) return error;
    throw error;
  }
}

/** A role without the privilege to read the version does not migrate; the service runs all the same. */
async function checkSchema(config: DatabaseConfig, options: MigrationOptions): Promise<void> {
  const { logger = silentLogger } = options;
  try {
    requireClean(await readSchemaVersion(config, options));
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState !== INSUFFICIENT_PRIVILEGE) throw error;
    logger.warn(
      { event: "migration.unreadable" },
      `The role ${config.user} may not read schema_migrations, so a dirty schema goes unnoticed: ` +
        "grant it select on that table",
    );
  }
}

/**
 * Reads the version of the schema on a connection of its own; undefined when no migration is
 * applied. It needs no lock, and takes at most the connect timeout and the ping timeout together, so
 * that a silent network cannot hold up the start of the service.
 *
 * @throws {DatabaseError} `PING_TIMEOUT`; `MIGRATION_FAILED` when the schema does not exist;
 * `INSUFFICIENT_PRIVILEGE`; `ABORTED`; or a connect error.
 */
export async function readSchemaVersion(
  config: DatabaseConfig,
  { signal }: Pick<MigrationOptions, "signal"> = {},
): Promise<SchemaVersion | undefined> {
  const timeoutMs = config.connectTimeoutMs + config.pingTimeoutMs;
  using deadline = new Deadline({
    timeoutMs,
    signal,
    onTimeout: () =>
      new DatabaseError("PING_TIMEOUT", {
        message: `The schema version could not be read within ${timeoutMs} ms ` +
          "(DB_CONNECT_TIMEOUT and DB_PING_TIMEOUT together)",
      }),
  });
  return await withSession(config, deadline.signal, ({ versionTable }) => versionTable.read());
}

/**
 * Queries the version of the schema through the manager's pool, with the service's own role, for its
 * metrics: 0 when no migration is applied, undefined when the role may not read the table.
 *
 * @throws {DatabaseError} As `DatabaseManager.withConnection`.
 */
export function querySchemaVersion(
  database: Pick<DatabaseManager, "config" | "withConnection">,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<SchemaVersion | undefined> {
  return database.withConnection(async (sql) => {
    const table = new VersionTable(sql, database.config.schema);
    if (await table.isReadable() === false) return undefined;
    return await table.read() ?? { version: 0, dirty: false };
  }, { access: "read", timeoutMs });
}
