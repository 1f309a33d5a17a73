import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import { DatabaseError } from "../errors.ts";

/** The folder with this service's migrations. */
export const OWN_MIGRATIONS = new URL("../../../migrations/", import.meta.url);

/** The direction of a script: `up` applies a migration, `down` reverts it. */
export type Direction = "up" | "down";

/** One file. It is sent to the server as it is, and may hold several statements. */
export interface MigrationScript {
  /** Name of the file, for messages. */
  readonly file: string;
  /** What is sent to the server. */
  readonly text: string;
}

/** One version of the schema: the script that leads to it from the version before, and the one back. */
export interface Migration {
  /** The number that its file names begin with. */
  readonly version: number;
  /** What follows the version in its file names. */
  readonly title: string;
  /** Undefined when there is no up file. */
  readonly up?: MigrationScript;
  /** Undefined when there is no down file. */
  readonly down?: MigrationScript;
}

/** golang-migrate's rule for file names (source/parse.go). Other files in the folder are ignored. */
const FILE = /^(?<version>\d+)_(?<title>.*)\.(?<direction>up|down)\.(?:.*)$/;

/** Digits of a sequential version in a file name. */
const VERSION_DIGITS = 6;

/** Versions above this are timestamps: they have no successor, and gaps between them are normal. */
export const LARGEST_SEQUENTIAL_VERSION = 10 ** VERSION_DIGITS - 1;

/** A version as file names have it: `000042`. */
export function formatVersion(version: number): string {
  return String(version).padStart(VERSION_DIGITS, "0");
}

/**
 * Reads the `NNNNNN_title.up.sql` and `.down.sql` files of a folder, ordered by version.
 *
 * @throws {DatabaseError} `MIGRATION_FAILED` when the folder or a file cannot be read, when two
 * files have the same version and direction, or when a version exceeds `Number.MAX_SAFE_INTEGER`.
 */
export async function readMigrations(directory: URL): Promise<Migration[]> {
  const migrations = new Map<number, Migration>();
  for (const file of (await listFiles(directory)).sort()) {
    const { version: digits, title, direction } = FILE.exec(file)?.groups ?? {};
    if (digits === undefined || title === undefined) continue;
    const key = direction as Direction;
    const version = parseVersion(digits, file);
    const migration = migrations.get(version) ?? { version, title };
    const other = migration[key]?.file;
    if (other !== undefined) {
      throw migrationFailed(
        `${other} and ${file} have the same version ${version}: renumber or remove one of them`,
      );
    }
    migrations.set(version, {
      ...migration,
      [key]: { file, text: await readScript(directory, file) },
    });
  }
  return [...migrations.values()].sort((a, b) => a.version - b.version);
}

/**
 * Creates an empty up and down file with the next sequential version.
 *
 * @param title Converted to lower case; every run of other characters than letters and digits
 * becomes `_`.
 * @param directory Default: this service's own migrations.
 * @returns The names of the two files.
 * @throws {DatabaseError} `MIGRATION_FAILED` when the title has no letter or digit, when the last
 * version is a timestamp or 999999, or when the folder cannot be read or written.
 */
export async function createMigration(
  title: string,
  directory: URL = OWN_MIGRATIONS,
): Promise<string[]> {
  const slug = title.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "_").replaceAll(/^_|_$/g, "");
  if (slug === "") {
    throw migrationFailed(
      `The title "${title}" has no letter or digit: use one such as add_accounts`,
    );
  }
  const last = (await readMigrations(directory)).at(-1)?.version ?? 0;
  if (last >= LARGEST_SEQUENTIAL_VERSION) {
    throw migrationFailed(
      `The last version, ${last}, is too large to number the next one in six digits: ` +
        "create the two files by hand, with a later version",
    );
  }
  const name = `${formatVersion(last + 1)}_${slug}`;
  const files = [`${name}.up.sql`, `${name}.down.sql`];
  for (const file of files) {
    try {
      // Fails when the file exists, so as not to empty the one of another developer.
      await writeFile(urlOf(directory, file), "", { flag: "wx" });
    } catch (error) {
      throw migrationFailed(`Cannot create the migration file ${file}: ${reason(error)}`, error);
    }
  }
  return files;
}

/** The folder at a path, which is relative to the working directory unless it begins with `/`. */
export function folderAt(path: string): URL {
  return asFolder(pathToFileURL(path));
}

/**
 * SHA-256 of a script, to tell whether it has changed. Line endings do not count, because Git may
 * convert them.
 */
export function checksumOf({ text }: MigrationScript): string {
  return createHash("sha256").update(text.replaceAll("\r\n", "\n")).digest("hex");
}

/** The name of a migration for lists: its file name without direction and extension. */
export function nameOf({ version, title, up, down }: Migration): string {
  const file = up?.file ?? down?.file ?? `${formatVersion(version)}_${title}`;
  return basename(file).replace(/\.(up|down)\..*$/, "");
}

/** The error of a migration that cannot be found, read, planned or run. */
export function migrationFailed(message: string, cause?: unknown): DatabaseError {
  return new DatabaseError("MIGRATION_FAILED", { message, cause });
}

function parseVersion(digits: string, file: string): number {
  const version = Number(digits);
  if (Number.isSafeInteger(version)) return version;
  throw migrationFailed(
    `The version of ${file} is too large: use one up to ${Number.MAX_SAFE_INTEGER}`,
  );
}

async function listFiles(directory: URL): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    throw migrationFailed(
      `Cannot read the migration folder ${directory.pathname}: ${reason(error)}`,
      error,
    );
  }
}

async function readScript(directory: URL, file: string): Promise<string> {
  try {
    return await readFile(urlOf(directory, file), "utf8");
  } catch (error) {
    throw migrationFailed(`Cannot read the migration file ${file}: ${reason(error)}`, error);
  }
}

function urlOf(directory: URL, file: string): URL {
  return new URL(encodeURIComponent(file), asFolder(directory));
}

/** Without a slash at its end, a URL would resolve files against the folder above. */
function asFolder(directory: URL): URL {
  return directory.href.endsWith("/") ? directory : new URL(`${directory.href}/`);
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
