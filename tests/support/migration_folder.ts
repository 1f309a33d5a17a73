import { join } from "node:path";
import { folderAt } from "../../src/database/mod.ts";

/** A folder of migrations that is gone afterwards. */
export interface MigrationFolder extends AsyncDisposable {
  readonly path: string;
  readonly url: URL;
  write(file: string, text: string): void;
  remove(file: string): void;
}

/** Makes a folder of migrations with these files. */
export async function migrationFolder(
  files: Readonly<Record<string, string>> = {},
): Promise<MigrationFolder> {
  const path = await Deno.makeTempDir({ prefix: "treasury-migrations-" });
  const write = (file: string, text: string) => Deno.writeTextFileSync(join(path, file), text);
  for (const [file, text] of Object.entries(files)) write(file, text);
  return {
    path,
    url: folderAt(path),
    write,
    remove: (file) => Deno.removeSync(join(path, file)),
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}

/** Two migrations and the ways back. */
export const TWO_MIGRATIONS = {
  "000001_account.up.sql": "create table account (id int); insert into account values (1);",
  "000001_account.down.sql": "drop table account;",
  "000002_note.up.sql": "alter table account add column note text;",
  "000002_note.down.sql": "alter table account drop column note;",
} as const;
