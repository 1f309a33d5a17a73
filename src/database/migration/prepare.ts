import { asMigrator, type DatabaseConfig } from "../../config/mod.ts";
import { DatabaseError } from "../errors.ts";
import { silentLogger } from "../logger.ts";
import type { MigrationOptions } from "./locked_session.ts";
import { migrateUp, readSchemaVersion } from "./migrate.ts";
import { refuseDirty } from "./migration_table.ts";

/** `insufficient_privilege`, PostgreSQL appendix A. */
const FORBIDDEN = "42501";

/**
 * Makes the schema ready for the service: migrates it if that is configured, and looks whether it is
 * dirty.
 *
 * @returns Why nothing may be written: the schema is dirty. Undefined when all is well.
 * @throws {DatabaseError} As `migrateUp`, when the schema is not dirty after that.
 */
export async function prepareSchema(
  config: DatabaseConfig,
  options: MigrationOptions = {},
): Promise<DatabaseError | undefined> {
  try {
    if (config.migrateOnStart) await migrateUp(asMigrator(config), options);
    else await look(config, options);
    return undefined;
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    if (error.code === "MIGRATION_DIRTY") return error;
    // It can also have failed before anything ran.
    if (error.code !== "MIGRATION_FAILED") throw error;
    const current = await readSchemaVersion(config, options);
    if (current?.dirty === true) return error;
    throw error;
  }
}

/** A role that may not look does not migrate either, and its service must run nevertheless. */
async function look(config: DatabaseConfig, options: MigrationOptions): Promise<void> {
  const { logger = silentLogger } = options;
  try {
    refuseDirty(await readSchemaVersion(config, options));
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.sqlState !== FORBIDDEN) throw error;
    logger.warn(
      { event: "migration.unreadable" },
      "The role may not read schema_migrations, so a dirty schema goes unnoticed: grant it select",
    );
  }
}
