import { randomBytes } from "node:crypto";
import { readTextIfThere, writePrivateFile } from "./files.ts";

/**
 * Reads the passwords of the embedded database's `users` from `file`, or makes random ones and keeps them there.
 *
 * The file is a PostgreSQL password file (https://www.postgresql.org/docs/16/libpq-pgpass.html),
 * readable by its owner only, so that psql can be started without a password on the command line.
 */
export async function readOrMakePasswords<Who extends string>(
  file: string,
  users: Readonly<Record<Who, string>>,
): Promise<Record<Who, string>> {
  const lines = (await readTextIfThere(file)).split("\n");
  const passwordOf = (user: string) =>
    lines.map((line) => line.split(":")).find((fields) => fields[3] === user)?.[4];
  // Hexadecimal: nothing that the file's format or a connection string would have to escape.
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
