import { randomBytes } from "node:crypto";
import { readTextIfThere } from "./files.ts";

/** The passwords of the embedded database. */
export interface Passwords {
  readonly superuser: string;
  readonly service: string;
}

/**
 * Reads the passwords from `file`, or makes random ones and keeps them there.
 *
 * The file is a PostgreSQL password file (https://www.postgresql.org/docs/16/libpq-pgpass.html),
 * readable by its owner only, so that psql can be started without a password on the command line.
 */
export async function readOrMakePasswords(
  file: string,
  { superuser, service }: { readonly superuser: string; readonly service: string },
): Promise<Passwords> {
  const lines = (await readTextIfThere(file)).split("\n");
  const passwordOf = (user: string) =>
    lines.map((line) => line.split(":")).find((fields) => fields[3] === user)?.[4];
  // Hexadecimal: nothing that the file's format or a connection string would have to escape.
  const passwords = {
    superuser: passwordOf(superuser) ?? randomBytes(16).toString("hex"),
    service: passwordOf(service) ?? randomBytes(16).toString("hex"),
  };
  const text = `127.0.0.1:*:*:${superuser}:${passwords.superuser}\n` +
    `127.0.0.1:*:*:${service}:${passwords.service}\n`;
  await Deno.writeTextFile(file, text, { mode: 0o600 });
  await Deno.chmod(file, 0o600); // the mode above is for a new file only
  return passwords;
}
