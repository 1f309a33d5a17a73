import { checksumOf, formatVersion, type Migration, nameOf } from "./migration_files.ts";
import type { LogEntry } from "./migration_log.ts";

/**
 * Something about the files that nobody can have meant: `gap`, a number was left out; `late`, a file
 * came after the schema had passed its version, and is never applied; `missing`, a file of the
 * schema is gone; `changed`, a file is not any more what was applied.
 */
export interface Surprise {
  readonly kind: "gap" | "late" | "missing" | "changed";
  readonly version: number;
  readonly message: string;
}

/** Larger versions are times, in which gaps mean nothing. */
const LARGEST_NUMBER = 999_999;

/**
 * Compares the files with what the schema was made from.
 *
 * @param entries What the schema has, see `reconcile`.
 */
export function findSurprises(
  migrations: readonly Migration[],
  current: number | undefined,
  entries: readonly LogEntry[],
): Surprise[] {
  return [
    ...findGaps(migrations, entries),
    ...(current === undefined ? [] : findLate(migrations, current, entries)),
    ...(current === undefined ? [] : findUnknown(migrations, current, entries)),
    ...entries.flatMap((entry) => compare(entry, migrations)),
  ].sort((a, b) => a.version - b.version);
}

function findGaps(migrations: readonly Migration[], entries: readonly LogEntry[]): Surprise[] {
  const versions = new Set([...migrations, ...entries].map(({ version }) => version));
  const sorted = [...versions].filter((version) => version <= LARGEST_NUMBER).sort((a, b) => a - b);
  return sorted.flatMap((version, index) => {
    const before = sorted[index - 1];
    if (before === undefined || before + 1 === version) return [];
    const between = `${formatVersion(before)} and ${formatVersion(version)}`;
    const message = `There is no migration between ${between}; is a file missing?`;
    return [{ kind: "gap", version, message } as const];
  });
}

function findLate(
  migrations: readonly Migration[],
  current: number,
  entries: readonly LogEntry[],
): Surprise[] {
  const applied = new Set(entries.map(({ version }) => version));
  return migrations
    .filter(({ version, up }) => up !== undefined && version < current && !applied.has(version))
    .map((migration) => ({
      kind: "late",
      version: migration.version,
      message: `${nameOf(migration)} was added after the schema had reached version ${current}, ` +
        "so it is never applied; give it a new number",
    }));
}

/** The schema's own version, when neither a file nor the log knows it. */
function findUnknown(
  migrations: readonly Migration[],
  current: number,
  entries: readonly LogEntry[],
): Surprise[] {
  const isKnown = [...migrations, ...entries].some(({ version }) => version === current);
  return isKnown ? [] : [missing(current)];
}

function missing(version: number): Surprise {
  const message = `The schema has migration ${formatVersion(version)}, and its file is gone`;
  return { kind: "missing", version, message };
}

function compare(
  { version, checksum, appliedAt }: LogEntry,
  migrations: readonly Migration[],
): Surprise[] {
  const migration = migrations.find((migration) => migration.version === version);
  const up = migration?.up;
  if (migration === undefined || up === undefined) return [missing(version)];
  if (checksumOf(up) === checksum) return [];
  const when = appliedAt === undefined ? "" : ` at ${appliedAt.toISOString()}`;
  const message = `${up.file} has changed since it was applied${when}; ` +
    "leave it as it was, and put the change into a new migration";
  return [{ kind: "changed", version, message }];
}
