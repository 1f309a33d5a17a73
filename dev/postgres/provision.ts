import postgres from "postgres";
import type { ConnectionInfo } from "./server.ts";

/** The role and the database that the service uses. */
export interface ProvisionOptions {
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

/**
 * Makes the role (with login and this password) and the database that it owns, or changes what is
 * there to match; safe to call again and again.
 *
 * @returns How the service connects.
 */
export async function provision(
  superuser: ConnectionInfo,
  { user, password, database }: ProvisionOptions,
): Promise<ConnectionInfo> {
  const sql = postgres({ ...superuser, max: 1, onnotice: () => {}, fetch_types: false });
  try {
    // CREATE ROLE takes no parameters, so the password is part of the statement: keep a failing
    // one out of the server's log.
    await sql`set log_min_error_statement = panic`;
    const role = sql(user);
    const [roleExists] = await sql`select from pg_roles where rolname = ${user}`;
    if (roleExists === undefined) await sql`create role ${role}`;
    await sql`alter role ${role} login password ${sql.unsafe(quoteLiteral(password))}`;
    const [databaseExists] = await sql`select from pg_database where datname = ${database}`;
    if (databaseExists === undefined) await sql`create database ${sql(database)} owner ${role}`;
    else await sql`alter database ${sql(database)} owner to ${role}`;
  } finally {
    await sql.end({ timeout: 5 });
  }
  return { host: superuser.host, port: superuser.port, user, password, database };
}

// As PostgreSQL's quote_literal does: the E form keeps backslashes whatever
// standard_conforming_strings says.
function quoteLiteral(value: string): string {
  return `E'${value.replaceAll("\\", "\\\\").replaceAll("'", "''")}'`;
}
