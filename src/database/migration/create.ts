import { writeFile } from "node:fs/promises";
import { DatabaseError } from "../errors.ts";
import { asFolder, formatVersion, OWN_MIGRATIONS, readMigrations } from "./migration_files.ts";

/** Larger versions are times, which have no next one. */
const LARGEST_NUMBER = 999_999;

/**
 * Makes an empty pair of files with the next number.
 *
 * @param title Becomes lower case; what is neither letter nor digit becomes `_`.
 * @returns The names of the files.
 * @throws {DatabaseError} `MIGRATION_FAILED` when the title is empty, the numbers are used up, or
 * the folder cannot be read or written.
 */
export async function createMigration(
  title: string,
  directory: URL = OWN_MIGRATIONS,
): Promise<string[]> {
  const slug = title.toLowerCase().replaceAll(/[^\p{L}\p{N}]+/gu, "_").replaceAll(/^_|_$/g, "");
  if (slug === "") throw failed(`"${title}" has no letter or digit to make a file name of`);
  const version = ((await readMigrations(directory)).at(-1)?.version ?? 0) + 1;
  if (version > LARGEST_NUMBER) throw failed(`${version} is too large for a number of six digits`);
  const files = ["up", "down"].map((way) => `${formatVersion(version)}_${slug}.${way}.sql`);
  for (const file of files) {
    // Another developer's file of the same name must survive.
    await writeFile(new URL(file, asFolder(directory)), "", { flag: "wx" }).catch((error) => {
      throw failed(`Cannot write ${file}`, error);
    });
  }
  return files;
}

function failed(message: string, cause?: unknown): DatabaseError {
  return new DatabaseError("MIGRATION_FAILED", { message, cause });
}
