import postgres from "postgres";
import type { ConnectionInfo } from "../../dev/postgres/server.ts";

/**
 * Makes a role and a database that it owns. As on many managed servers, there is one user and no
 * other role.
 *
 * @returns How the user connects.
 */
export async function makeUser(
  superuser: ConnectionInfo,
  login: Pick<ConnectionInfo, "user" | "password" | "database">,
): Promise<ConnectionInfo> {
  const { user, password, database } = login;
  const sql = postgres({ ...superuser, max: 1 });
  try {
    await sql.unsafe(`create role ${user} login password '${password}'`);
    await sql`create database ${sql(database)} owner ${sql(user)}`;
  } finally {
    await sql.end({ timeout: 5 });
  }
  return { ...superuser, ...login };
}
