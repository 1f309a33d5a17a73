import { readdir, readFile } from "node:fs/promises";
import { DatabaseError } from "../errors.ts";

/** One file that takes the schema from the version before it to its own. */
export interface Migration {
  readonly version: number;
  /** Name of the file, for messages. */
  readonly file: string;
  /** Runs as it is; may hold several statements. */
  readonly script: string;
}

/** golang-migrate's rule for names; other files of the folder are left alone. */
const UP_FILE = /^(?<version>\d+)_.*\.up\.sql$/;

/**
 * Reads the `NNNNNN_title.up.sql` files of a folder, in the order of their versions.
 *
 * @throws {DatabaseError} `MIGRATION_FAILED` when the folder cannot be read or
 * two files have the same version.
 */
export async function readMigrations(directory: URL): Promise<Migration[]> {
  const migrations: Migration[] = [];
  for (const file of await listFiles(directory)) {
    const version = UP_FILE.exec(file)?.groups?.version;
    if (version === undefined) continue;
    const script = await readFile(new URL(file, asFolder(directory)), "utf8");
    migrations.push({ version: Number(version), file, script });
  }
  migrations.sort((a, b) => a.version - b.version);
  for (const [index, { version, file }] of migrations.entries()) {
    const next = migrations[index + 1];
    if (next?.version === version) {
      throw new DatabaseError("MIGRATION_FAILED", {
        message: `Two migrations have version ${version}: ${file} and ${next.file}`,
      });
    }
  }
  return migrations;
}

async function listFiles(directory: URL): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    throw new DatabaseError("MIGRATION_FAILED", {
      message: `Cannot read the folder of migrations, ${directory.pathname}`,
      cause: error,
    });
  }
}

function asFolder(directory: URL): URL {
  return directory.href.endsWith("/") ? directory : new URL(`${directory.href}/`);
}
