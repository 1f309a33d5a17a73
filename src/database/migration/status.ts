import type { DatabaseConfig } from "../../config/mod.ts";
import type { MigrationOptions } from "./locked_session.ts";
import { type Migration, nameOf, OWN_MIGRATIONS, readMigrations } from "./migration_files.ts";
import { type LogEntry, reconcile } from "./migration_log.ts";
import type { SchemaVersion } from "./migration_table.ts";
import { MigrationSession } from "./session.ts";
import { findSurprises, type Surprise } from "./surprises.ts";

/**
 * Where a version stands: `dirty`, a migration to it was left unfinished; `missing`, the schema has
 * it and there is no file; `late`, its file came too late to be applied.
 */
export type VersionState = "applied" | "pending" | "dirty" | "missing" | "late";

/** One version, by its files and by the schema. */
export interface VersionStatus {
  readonly version: number;
  /** Of the files; undefined when there are none. */
  readonly name: string | undefined;
  readonly state: VersionState;
  /** Undefined when it is not applied, or another tool has applied it. */
  readonly appliedAt: Date | undefined;
  readonly appliedBy: string | undefined;
}

export interface MigrationStatus {
  /** Undefined before the first migration. */
  readonly current: SchemaVersion | undefined;
  /** In order. */
  readonly versions: readonly VersionStatus[];
  readonly surprises: readonly Surprise[];
}

/**
 * Compares the files with the schema. Changes nothing and needs no lock.
 *
 * @throws {DatabaseError} `MIGRATION_FAILED` when the files cannot be read, or a connect error.
 */
export async function readMigrationStatus(
  config: DatabaseConfig,
  { directory = OWN_MIGRATIONS, signal }: Pick<MigrationOptions, "directory" | "signal"> = {},
): Promise<MigrationStatus> {
  const migrations = await readMigrations(directory);
  const [current, log] = await MigrationSession.use(
    config,
    signal,
    async (session) => [await session.table.read(), await session.log.read()] as const,
  );
  const entries = reconcile(log, current?.version, migrations);
  return {
    current,
    versions: versionsOf(migrations, current, entries),
    surprises: findSurprises(migrations, current?.version, entries),
  };
}

function versionsOf(
  migrations: readonly Migration[],
  current: SchemaVersion | undefined,
  entries: readonly LogEntry[],
): VersionStatus[] {
  const files = new Map(migrations.map((migration) => [migration.version, migration]));
  const applied = new Map(entries.map((entry) => [entry.version, entry]));
  const versions = new Set([...files.keys(), ...applied.keys()]);
  if (current?.version !== undefined) versions.add(current.version);
  return [...versions].sort((a, b) => a - b).map((version) => {
    const file = files.get(version);
    const entry = applied.get(version);
    return {
      version,
      name: file && nameOf(file),
      state: stateOf(version, current, {
        hasFile: file !== undefined,
        isKnown: entry !== undefined,
      }),
      appliedAt: entry?.appliedAt,
      appliedBy: entry?.appliedBy,
    };
  });
}

function stateOf(
  version: number,
  current: SchemaVersion | undefined,
  { hasFile, isKnown }: { readonly hasFile: boolean; readonly isKnown: boolean },
): VersionState {
  if (version === current?.version && current.dirty) return "dirty";
  if (current?.version === undefined || version > current.version) return "pending";
  if (!hasFile) return "missing";
  return isKnown ? "applied" : "late";
}
