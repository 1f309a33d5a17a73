import type { DatabaseConfig } from "../../config/mod.ts";
import { Deadline } from "../deadline.ts";
import { DatabaseError } from "../errors.ts";
import { silentLogger } from "../logger.ts";
import { type MigrationOptions, withLock } from "./locked_session.ts";
import { OWN_MIGRATIONS, readMigrations } from "./migration_files.ts";
import { type MigrationResult, MigrationRun } from "./migration_run.ts";
import type { SchemaVersion } from "./migration_table.ts";
import { type Plan, planDown, planGoto, planUp } from "./plan.ts";
import { MigrationSession } from "./session.ts";

/** Settings of {@linkcode migrateUp}, {@linkcode migrateDown} and {@linkcode migrateTo}. */
export interface MigrateOptions extends MigrationOptions {
  /** Only says what would be done: nothing is locked or changed. */
  readonly dryRun?: boolean | undefined;
}

/**
 * Applies the migrations that are newer than the schema, each as one script, on a connection of its
 * own. Processes that migrate at the same time wait for each other, also when one of them is
 * golang-migrate.
 *
 * @throws {DatabaseError} `MIGRATION_DIRTY` when an earlier migration was left unfinished;
 * `MIGRATION_FAILED` when one fails now (the schema is dirty then), or a file is missing;
 * `MIGRATION_LOCKED`; `ABORTED` (dirty if a script was running); or a connect error.
 */
export function migrateUp(
  config: DatabaseConfig,
  options: MigrateOptions & {
    /** How many at most. */
    readonly limit?: number | undefined;
  } = {},
): Promise<MigrationResult> {
  return migrate(config, planUp(options.limit), options);
}

/**
 * Reverts the last migrations.
 *
 * @param limit How many at most; `Infinity` for all.
 * @throws {DatabaseError} As {@linkcode migrateUp}.
 */
export function migrateDown(
  config: DatabaseConfig,
  limit: number,
  options: MigrateOptions = {},
): Promise<MigrationResult> {
  return migrate(config, planDown(limit), options);
}

/**
 * Applies or reverts migrations until the schema has this version.
 *
 * @throws {DatabaseError} As {@linkcode migrateUp}.
 */
export function migrateTo(
  config: DatabaseConfig,
  version: number,
  options: MigrateOptions = {},
): Promise<MigrationResult> {
  return migrate(config, planGoto(version), options);
}

/**
 * The version of the schema; undefined before the first migration. Needs no lock, and ends within
 * the time to connect and that of a ping: whoever waits for it must not wait for a silent network.
 *
 * @throws {DatabaseError} A connect error, `PING_TIMEOUT`, or `MIGRATION_FAILED` when the schema does
 * not exist.
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
        message: `The version of the schema could not be read within ${timeoutMs} ms`,
      }),
  });
  return await MigrationSession.use(config, deadline.signal, ({ table }) => table.read());
}

async function migrate(
  config: DatabaseConfig,
  plan: Plan,
  options: MigrateOptions,
): Promise<MigrationResult> {
  const { directory = OWN_MIGRATIONS, dryRun = false } = options;
  const migrations = await readMigrations(directory);
  const run = new MigrationRun(plan, migrations, options.logger ?? silentLogger);
  try {
    return dryRun
      ? await MigrationSession.use(config, options.signal, (session) => run.plan(session))
      : await withLock(config, options, (session) => run.perform(session));
  } catch (error) {
    // Here, because what is aborted ends with the reason and knows nothing of the step.
    throw run.explain(error);
  }
}
