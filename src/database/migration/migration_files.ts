import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { basename } from "node:path";
import { pathToFileURL } from "node:url";
import { DatabaseError } from "../errors.ts";

/** Where this service's migrations are. */
export const OWN_MIGRATIONS = new URL("../../../migrations/", import.meta.url);

/** Which way a script takes the schema. */
export type Direction = "up" | "down";

/** One file; it runs as it is, and may hold several statements. */
export interface MigrationScript {
  /** Name of the file, for messages. */
  readonly file: string;
  readonly text: string;
}

/** One version of the schema: the way to it from the version before it, and the way back. */
export interface Migration {
  readonly version: number;
  readonly title: string;
  readonly up?: MigrationScript;
  readonly down?: MigrationScript;
}

/** golang-migrate's rule for names (source/parse.go); other files of the folder are left alone. */
const FILE = /^(?<version>\d+)_(?<title>.*)\.(?<direction>up|down)\.(?:.*)$/;

/** Digits of a version in the name of a new file. */
const VERSION_DIGITS = 6;

/** A version as file names have it. */
export function formatVersion(version: number): string {
  return String(version).padStart(VERSION_DIGITS, "0");
}

/**
 * Reads the `NNNNNN_title.up.sql` and `.down.sql` files of a folder, in the order of their versions.
 *
 * @throws {DatabaseError} `MIGRATION_FAILED` when the folder cannot be read, or two files have the
 * same version and direction.
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
      throw failed(`Two files have version ${version}: ${other} and ${file}`);
    }
    const text = await readFile(new URL(encodeURIComponent(file), asFolder(directory)), "utf8");
    migrations.set(version, { ...migration, [key]: { file, text } });
  }
  return [...migrations.values()].sort((a, b) => a.version - b.version);
}

/** A folder as a URL that files can be resolved against. */
export function asFolder(directory: URL): URL {
  return directory.href.endsWith("/") ? directory : new URL(`${directory.href}/`);
}

/** The folder at a path that a user gave, relative to the working directory. */
export function folderAt(path: string): URL {
  return asFolder(pathToFileURL(path));
}

/** Tells whether a script has changed; not whether its line ends have, which Git may convert. */
export function checksumOf({ text }: MigrationScript): string {
  return createHash("sha256").update(text.replaceAll("\r\n", "\n")).digest("hex");
}

/** The name of a migration without direction and ending, for lists. */
export function nameOf({ version, title, up, down }: Migration): string {
  const file = up?.file ?? down?.file ?? `${formatVersion(version)}_${title}`;
  return basename(file).replace(/\.(up|down)\..*$/, "");
}

function parseVersion(digits: string, file: string): number {
  const version = Number(digits);
  if (Number.isSafeInteger(version)) return version;
  throw failed(`The version of ${file} is too large; the largest is ${Number.MAX_SAFE_INTEGER}`);
}

async function listFiles(directory: URL): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    throw failed(`Cannot read the folder of migrations, ${directory.pathname}`, error);
  }
}

function failed(message: string, cause?: unknown): DatabaseError {
  return new DatabaseError("MIGRATION_FAILED", { message, cause });
}
