import type { DatabaseConfig } from "../../config/mod.ts";
import { connect } from "../connection/connect.ts";
import type { Sql } from "../connection/driver.ts";
import { abortReason, classify, DatabaseError } from "../errors.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { type Migration, readMigrations } from "./migration_files.ts";
import { MigrationTable, type SchemaVersion } from "./migration_table.ts";

export type { SchemaVersion } from "./migration_table.ts";

/** golang-migrate's default. */
const LOCK_TIMEOUT_MS = 15_000;

/** Where this service's migrations are. */
const OWN_MIGRATIONS = new URL("../../../migrations/", import.meta.url);

/** Settings of {@linkcode migrateUp} and {@linkcode readSchemaVersion}. */
export interface MigrationOptions {
  readonly signal?: AbortSignal | undefined;
  /** Folder with `NNNNNN_title.up.sql` files; default: this service's. */
  readonly directory?: URL | undefined;
  /** Longest wait for another process that migrates; default: 15 s. */
  readonly lockTimeoutMs?: number | undefined;
  /** Gets the event `migration.applied`. */
  readonly logger?: Logger | undefined;
}

/** What {@linkcode migrateUp} did. */
export interface MigrationResult {
  /** Undefined when there is no migration at all. */
  readonly version: number | undefined;
  /** Versions that were applied just now, in order. */
  readonly applied: readonly number[];
}

/**
 * Applies every migration that is newer than the schema, each as one script, on
 * a connection of its own. Processes that migrate at the same time wait for each
 * other, also when one of them is golang-migrate.
 *
 * @throws {DatabaseError} `MIGRATION_DIRTY` when an earlier migration was left
 * unfinished, `MIGRATION_FAILED` when one fails now (the schema is dirty then) or
 * the schema's version has no file, `MIGRATION_LOCKED`, or a connect error.
 */
export async function migrateUp(
  config: DatabaseConfig,
  options: MigrationOptions = {},
): Promise<MigrationResult> {
  const { directory = OWN_MIGRATIONS, lockTimeoutMs = LOCK_TIMEOUT_MS, logger = silentLogger } =
    options;
  const migrations = await readMigrations(directory);
  return await withTable(config, options.signal, async (sql, table) => {
    await table.lock(lockTimeoutMs);
    const current = await table.read();
    const pending = pendingAfter(current, migrations);
    for (const migration of pending) {
      const startedAt = performance.now();
      await apply(sql, table, migration);
      const durationMs = Math.round(performance.now() - startedAt);
      const { version, file } = migration;
      logger.info({ event: "migration.applied", version, durationMs }, `Applied ${file}`);
    }
    await table.unlock();
    const applied = pending.map(({ version }) => version);
    return { version: applied.at(-1) ?? current?.version, applied };
  });
}

/**
 * The version of the schema; undefined before the first migration.
 *
 * @throws {DatabaseError} A connect error.
 */
export function readSchemaVersion(
  config: DatabaseConfig,
  { signal }: Pick<MigrationOptions, "signal"> = {},
): Promise<SchemaVersion | undefined> {
  return withTable(config, signal, (_, table) => table.read());
}

async function withTable<T>(
  config: DatabaseConfig,
  signal: AbortSignal | undefined,
  work: (sql: Sql, table: MigrationTable) => Promise<T>,
): Promise<T> {
  await using connection = await connect(config, { signal });
  const onAbort = () => connection.destroy(abortReason(signal));
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    return await work(connection.sql, await MigrationTable.open(connection.sql));
  } catch (error) {
    throw connection.explain(error);
  } finally {
    signal?.removeEventListener("abort", onAbort);
  }
}

function pendingAfter(
  current: SchemaVersion | undefined,
  migrations: readonly Migration[],
): Migration[] {
  if (current === undefined) return [...migrations];
  const { version, dirty } = current;
  if (dirty) {
    throw new DatabaseError("MIGRATION_DIRTY", {
      message: `The migration to version ${version} was left unfinished. Repair the schema by ` +
        "hand, then correct version and dirty in schema_migrations (golang-migrate: force)",
    });
  }
  if (!migrations.some((migration) => migration.version === version)) {
    throw new DatabaseError("MIGRATION_FAILED", {
      message: `The schema has version ${version}, for which there is no migration here: ` +
        "a newer release has migrated it, or the file is missing",
    });
  }
  return migrations.filter((migration) => migration.version > version);
}

async function apply(
  sql: Sql,
  table: MigrationTable,
  { version, file, script }: Migration,
): Promise<void> {
  await table.write({ version, dirty: true });
  try {
    // Without parameters this is the simple protocol: several statements, one transaction.
    await sql.unsafe(script);
  } catch (error) {
    const { message, sqlState } = classify(error);
    throw new DatabaseError("MIGRATION_FAILED", {
      message: `${file} failed: ${message}. The schema is marked dirty at version ${version}`,
      sqlState,
      cause: error,
    });
  }
  await table.write({ version, dirty: false });
}
