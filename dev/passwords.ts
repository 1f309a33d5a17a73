import { randomBytes } from "node:crypto";
import { readTextIfThere, writePrivateFile } from "./files.ts";

/**
 * Reads the passwords of the embedded database's `users` from `file`, or generates and saves them.
 *
 * The file is a PostgreSQL password file (https://www.postgresql.org/docs/16/libpq-pgpass.html),
 * readable only by its owner, so that psql needs no password on the command line.
 */
export async function readOrMakePasswords<Who extends string>(
  file: string,
  users: Readonly<Record<Who, string>>,
): Promise<Record<Who, string>> {
  const lines = (await readTextIfThere(file)).split("\n");
  const passwordOf = (user: string) =>
    lines.map((line) => line.split(":")).find((fields) => fields[3] === user)?.[4];
  // Hexadecimal, so that neither the file format nor a connection string needs escapes.
  const passwords = Object.entries<string>(users).map(([who, user]) => {
    return { who, user, password: passwordOf(user) ?? randomBytes(16).toString("hex") };
  });
  const text = passwords.map(({ user, password }) => `127.0.0.1:*:*:${user}:${password}\n`).join(
    "",
  );
  await writePrivateFile(file, text);
  return Object.fromEntries(
    passwords.map(({ who, password }) => [who, password]),
  ) as Record<Who, string>;
}
