import { DatabaseError } from "../errors.ts";
import {
  type Direction,
  formatVersion,
  type Migration,
  type MigrationScript,
} from "./migration_files.ts";

/** One script to run, and where it leads. */
export interface MigrationStep {
  /** The migration that the script belongs to. */
  readonly version: number;
  readonly direction: Direction;
  readonly script: MigrationScript;
  /** The schema's version afterwards; undefined before the first migration. */
  readonly target: number | undefined;
}

/**
 * What to run on a schema of this version; the migrations are in order. Throws `MIGRATION_FAILED`
 * when a file that is needed is not there, before anything has run.
 */
export type Plan = (
  current: number | undefined,
  migrations: readonly Migration[],
) => readonly MigrationStep[];

/** Applies the next migrations, all of them by default. */
export function planUp(limit = Infinity): Plan {
  return (current, migrations) => {
    const from = indexOf(current, migrations);
    return migrations.slice(from + 1).slice(0, limit).map(stepUp);
  };
}

/** Reverts the last migrations, all of them by default. */
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

/** Applies or reverts until the schema has this version. */
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
 * Where a version is among the migrations.
 *
 * @throws {DatabaseError} `MIGRATION_FAILED`: it is not.
 */
export function requireVersion(version: number, migrations: readonly Migration[]): number {
  const index = migrations.findIndex((migration) => migration.version === version);
  if (index < 0) throw failed(`There is no migration with version ${version}`);
  return index;
}

function indexOf(current: number | undefined, migrations: readonly Migration[]): number {
  if (current === undefined) return -1;
  const index = migrations.findIndex(({ version }) => version === current);
  if (index >= 0) return index;
  throw failed(
    `The schema has version ${current}, for which there is no migration here: ` +
      "a newer release has migrated it, or the file is missing",
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

/** golang-migrate takes a file that is not there for one that does nothing. */
function scriptOf(migration: Migration, direction: Direction): MigrationScript {
  const { version, title, [direction]: script } = migration;
  if (script !== undefined) return script;
  const file = `${formatVersion(version)}_${title}.${direction}.sql`;
  throw failed(`${file} is missing; let it be empty if there is nothing to do`);
}

function failed(message: string): DatabaseError {
  return new DatabaseError("MIGRATION_FAILED", { message });
}
