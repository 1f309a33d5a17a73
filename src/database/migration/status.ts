import type { DatabaseConfig } from "../../config/mod.ts";
import {
  checksumOf,
  formatVersion,
  LARGEST_SEQUENTIAL_VERSION,
  type Migration,
  nameOf,
  OWN_MIGRATIONS,
  readMigrations,
} from "./files.ts";
import { type MigrationOptions, withSession } from "./session.ts";
import { type AppliedMigration, reconcile, type SchemaVersion } from "./tables.ts";

/**
 * State of a version: `dirty`, the migration to it did not finish; `missing`, it is applied but has
 * no file; `out-of-order`, its file was added after a later version was applied, so it never will be.
 */
export type VersionState = "applied" | "pending" | "dirty" | "missing" | "out-of-order";

/** One version, as the files and the schema have it. */
export interface VersionStatus {
  /** The number that the file names begin with. */
  readonly version: number;
  /** From the file names; undefined when the version has no file. */
  readonly name: string | undefined;
  /** Whether it is applied, or why not. */
  readonly state: VersionState;
  /** Undefined when it is not applied, or another tool applied it. */
  readonly appliedAt: Date | undefined;
  /** The role that applied it; undefined as `appliedAt` is. */
  readonly appliedBy: string | undefined;
}

/** How the migration files and the schema compare. */
export interface MigrationStatus {
  /** Undefined when no migration is applied. */
  readonly current: SchemaVersion | undefined;
  /** Ordered by version. */
  readonly versions: readonly VersionStatus[];
  /** Ordered by version. */
  readonly warnings: readonly MigrationWarning[];
}

/**
 * A disagreement between the migration files and the schema, which stops nothing: `gap`, a
 * sequential version was skipped; `out-of-order`, a file was added below the version of the schema
 * and will not be applied; `missing`, the file of an applied migration is gone; `changed`, it is not
 * what was applied.
 */
export interface MigrationWarning {
  /** What disagrees. */
  readonly kind: "gap" | "out-of-order" | "missing" | "changed";
  /** The version that it is about. */
  readonly version: number;
  /** For people: names the file and says what to do. */
  readonly message: string;
}

/**
 * Compares the migration files with the schema. Changes nothing and needs no lock.
 *
 * @throws {DatabaseError} `MIGRATION_FAILED` when the files cannot be read or the schema does not
 * exist; `ABORTED`; or a connect error.
 */
export async function readMigrationStatus(
  config: DatabaseConfig,
  { directory = OWN_MIGRATIONS, signal }: Pick<MigrationOptions, "directory" | "signal"> = {},
): Promise<MigrationStatus> {
  const migrations = await readMigrations(directory);
  const [current, history] = await withSession(
    config,
    signal,
    async ({ versionTable, historyTable }) =>
      [await versionTable.read(), await historyTable.read()] as const,
  );
  const applied = reconcile(history, current?.version, migrations);
  return {
    current,
    versions: versionsOf(migrations, current, applied),
    warnings: findWarnings(migrations, current?.version, applied),
  };
}

function versionsOf(
  migrations: readonly Migration[],
  current: SchemaVersion | undefined,
  applied: readonly AppliedMigration[],
): VersionStatus[] {
  const files = new Map(migrations.map((migration) => [migration.version, migration]));
  const entries = new Map(applied.map((entry) => [entry.version, entry]));
  const versions = new Set([...files.keys(), ...entries.keys()]);
  if (current?.version !== undefined) versions.add(current.version);
  return [...versions].sort((a, b) => a - b).map((version) => {
    const file = files.get(version);
    const entry = entries.get(version);
    return {
      version,
      name: file && nameOf(file),
      state: stateOf(version, current, {
        hasFile: file !== undefined,
        isApplied: entry !== undefined,
      }),
      appliedAt: entry?.appliedAt,
      appliedBy: entry?.appliedBy,
    };
  });
}

function stateOf(
  version: number,
  current: SchemaVersion | undefined,
  { hasFile, isApplied }: { readonly hasFile: boolean; readonly isApplied: boolean },
): VersionState {
  if (version === current?.version && current.dirty) return "dirty";
  if (current?.version === undefined || version > current.version) return "pending";
  if (!hasFile) return "missing";
  return isApplied ? "applied" : "out-of-order";
}

/**
 * Finds what the files and the schema disagree about, ordered by version.
 *
 * @param current Version of the schema; undefined when no migration is applied.
 * @param applied The reconciled history.
 */
export function findWarnings(
  migrations: readonly Migration[],
  current: number | undefined,
  applied: readonly AppliedMigration[],
): MigrationWarning[] {
  return [
    ...findGaps(migrations, applied),
    ...(current === undefined ? [] : findOutOfOrder(migrations, current, applied)),
    ...(current === undefined ? [] : findUnknown(migrations, current, applied)),
    ...applied.flatMap((entry) => compareFile(entry, migrations)),
  ].sort((a, b) => a.version - b.version);
}

function findGaps(
  migrations: readonly Migration[],
  applied: readonly AppliedMigration[],
): MigrationWarning[] {
  const versions = new Set([...migrations, ...applied].map(({ version }) => version));
  const sorted = [...versions]
    .filter((version) => version <= LARGEST_SEQUENTIAL_VERSION)
    .sort((a, b) => a - b);
  return sorted.flatMap((version, index) => {
    const before = sorted[index - 1];
    if (before === undefined || before + 1 === version) return [];
    const between = `${formatVersion(before)} and ${formatVersion(version)}`;
    const message = `There is no migration file between ${between}: check whether one is missing`;
    return [{ kind: "gap", version, message } as const];
  });
}

function findOutOfOrder(
  migrations: readonly Migration[],
  current: number,
  applied: readonly AppliedMigration[],
): MigrationWarning[] {
  const versions = new Set(applied.map(({ version }) => version));
  return migrations
    .filter(({ version, up }) => up !== undefined && version < current && !versions.has(version))
    .map((migration) => ({
      kind: "out-of-order",
      version: migration.version,
      message: `${nameOf(migration)} was added after version ${formatVersion(current)} was ` +
        "applied, and will not be applied: give it a new version",
    }));
}

/** The version of the schema, when neither a file nor the history has it. */
function findUnknown(
  migrations: readonly Migration[],
  current: number,
  applied: readonly AppliedMigration[],
): MigrationWarning[] {
  const isKnown = [...migrations, ...applied].some(({ version }) => version === current);
  return isKnown ? [] : [missing(current)];
}

function missing(version: number): MigrationWarning {
  const message = `Migration ${formatVersion(version)} is applied, but its file is missing: ` +
    "restore the file";
  return { kind: "missing", version, message };
}

function compareFile(
  { version, checksum, appliedAt }: AppliedMigration,
  migrations: readonly Migration[],
): MigrationWarning[] {
  const up = migrations.find((migration) => migration.version === version)?.up;
  if (up === undefined) return [missing(version)];
  if (checksumOf(up) === checksum) return [];
  const when = appliedAt === undefined ? "" : ` at ${appliedAt.toISOString()}`;
  const message = `${up.file} has changed since it was applied${when}: ` +
    "restore it, and put the change into a new migration";
  return [{ kind: "changed", version, message }];
}
