import {
  type Direction,
  formatVersion,
  type Migration,
  migrationFailed,
  type MigrationScript,
} from "./files.ts";

/** One script to run, and the version that it leads to. */
export interface MigrationStep {
  /** The migration that the script belongs to. */
  readonly version: number;
  /** Whether the script applies or reverts it. */
  readonly direction: Direction;
  /** What to run. */
  readonly script: MigrationScript;
  /** Version of the schema afterwards; undefined when no migration is applied any longer. */
  readonly target: number | undefined;
}

/**
 * Decides what to run on a schema with the version `current`. The migrations are ordered by version.
 *
 * @throws {DatabaseError} `MIGRATION_FAILED` when a file that is needed does not exist; nothing has
 * run by then.
 */
export type Plan = (
  current: number | undefined,
  migrations: readonly Migration[],
) => readonly MigrationStep[];

/**
 * Applies the next migrations.
 *
 * @param limit How many at most; default: all.
 */
export function planUp(limit = Infinity): Plan {
  return (current, migrations) => {
    const from = indexOf(current, migrations);
    return migrations.slice(from + 1).slice(0, limit).map(stepUp);
  };
}

/**
 * Reverts the last migrations.
 *
 * @param limit How many at most; default: all.
 */
export function planDown(limit = Infinity): Plan {
  return (current, migrations) => {
    const applied = migrations.slice(0, indexOf(current, migrations) + 1);
    return applied
      .map((migration, index) => [migration, applied[index - 1]?.version] as const)
      .reverse()
      .slice(0, limit)
      .map(([migration, target]) => stepDown(migration, target));
  };
}

/** Applies or reverts migrations until the schema has this version. */
export function planGoto(version: number): Plan {
  return (current, migrations) => {
    const to = requireVersion(version, migrations);
    const from = indexOf(current, migrations);
    return to >= from
      ? planUp(to - from)(current, migrations)
      : planDown(from - to)(current, migrations);
  };
}

/**
 * The index of a version among the migrations.
 *
 * @throws {DatabaseError} `MIGRATION_FAILED` when no file has the version.
 */
export function requireVersion(version: number, migrations: readonly Migration[]): number {
  const index = migrations.findIndex((migration) => migration.version === version);
  if (index >= 0) return index;
  throw migrationFailed(
    `No migration file has version ${version}: "deno task migrate status" lists those that exist`,
  );
}

function indexOf(current: number | undefined, migrations: readonly Migration[]): number {
  if (current === undefined) return -1;
  const index = migrations.findIndex(({ version }) => version === current);
  if (index >= 0) return index;
  throw migrationFailed(
    `The schema has version ${current}, but no migration file has that version: use the release ` +
      "that migrated it, or restore the file",
  );
}

function stepUp(migration: Migration): MigrationStep {
  const { version } = migration;
  return { version, direction: "up", script: scriptOf(migration, "up"), target: version };
}

function stepDown(migration: Migration, target: number | undefined): MigrationStep {
  const { version } = migration;
  return { version, direction: "down", script: scriptOf(migration, "down"), target };
}

/** golang-migrate skips a migration whose file does not exist. Here that is an error. */
function scriptOf(migration: Migration, direction: Direction): MigrationScript {
  const { version, title, [direction]: script } = migration;
  if (script !== undefined) return script;
  const file = `${formatVersion(version)}_${title}.${direction}.sql`;
  throw migrationFailed(`The migration file ${file} is missing: add it, empty if it does nothing`);
}
