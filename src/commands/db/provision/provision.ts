import type { DatabaseConfig, RoleNames } from "../../../config/mod.ts";
import { type Connection, DatabaseError, type Sql } from "../../../database/mod.ts";
import { withSession } from "../session.ts";
import privilegesScript from "./privileges.sql" with { type: "text" };
import rolesScript from "./roles.sql" with { type: "text" };
import { isPlainPassword, scramVerifier } from "./scram.ts";

const DUPLICATE_DATABASE = "42P04";

/** What is to be made, for whom and by whom. */
export interface ProvisionOptions {
  /** A superuser, or a role with CREATEROLE and CREATEDB, and the database that it connects to. */
  readonly admin: DatabaseConfig;
  /** The service, and the migrator if there is one: their logins, the database and its schema. */
  readonly service: DatabaseConfig;
  readonly roles: RoleNames;
  /** Gets a line for each thing that was made, changed, or found right. */
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the roles, the database, its schema and everyone's privileges, or changes what is there to
 * match. Safe to call again and again. No password leaves the process: the server gets verifiers.
 *
 * The service's role may then read and write rows and nothing else; the owner's members change the
 * schema.
 *
 * @throws {DatabaseError} What the server refused; `INVALID_USE` for names or passwords that
 * cannot work. What was made before stays, and the next call goes on from there.
 */
export async function provision(options: ProvisionOptions): Promise<void> {
  const { admin, service, signal } = options;
  checkNames(options);
  const session = {
    signal,
    onNotice: ({ message, severity }: Readonly<Record<string, string>>) =>
      options.say(severity === "NOTICE" ? message ?? "" : `${severity}: ${message}`),
  };
  // Nothing that others can make is on the search path of an administrator (CVE-2018-1058).
  const connection = { ...admin, schema: "pg_catalog" };
  const parameters = scriptParameters(options);
  await withSession(connection, session, async (connection) => {
    await run(connection, rolesScript, parameters);
    options.say(await ensureDatabase(connection.sql, service.database, options.roles.owner));
  });
  await withSession({ ...connection, database: service.database }, session, async (connection) => {
    await run(connection, privilegesScript, parameters);
  });
}

/** How an administrator works as the owner, who cannot log in. */
export function asOwner(
  admin: DatabaseConfig,
  { database, schema }: DatabaseConfig,
  { owner }: RoleNames,
): DatabaseConfig {
  // The server splits its options at spaces that have no backslash before them.
  const role = `-c role=${owner.replaceAll(/[\\\s]/g, "\\$&")}`;
  return { ...admin, database, schema, options: [admin.options, role].filter(Boolean).join(" ") };
}

function checkNames({ service, roles }: ProvisionOptions): void {
  const names = [service.user, service.migrator?.user, ...Object.values(roles)]
    .filter((name) => name !== undefined);
  const double = names.find((name, index) => names.indexOf(name) !== index);
  if (double !== undefined) {
    throw new DatabaseError("INVALID_USE", {
      message: `${JSON.stringify(double)} stands for two roles: the service (DB_USER), the ` +
        "migrator (DB_MIGRATION_USER), the owner (DB_OWNER_ROLE), DB_READ_WRITE_ROLE and " +
        "DB_READ_ONLY_ROLE must all differ",
    });
  }
}

function scriptParameters({ service, roles }: ProvisionOptions): Record<string, string> {
  const { migrator } = service;
  return {
    "provision.schema": service.schema,
    "provision.owner": roles.owner,
    "provision.read_write": roles.readWrite,
    "provision.read_only": roles.readOnly,
    "provision.service": service.user,
    "provision.service_verifier": verifierOf(service.password, "DB_PASSWORD"),
    "provision.migrator": migrator?.user ?? "",
    "provision.migrator_verifier": verifierOf(migrator?.password, "DB_MIGRATION_PASSWORD"),
  };
}

/** Empty without a password: the role then logs in by other means, such as a certificate. */
function verifierOf(password: DatabaseConfig["password"], setting: string): string {
  if (password === undefined) return "";
  if (!isPlainPassword(password.reveal())) {
    throw new DatabaseError("INVALID_USE", {
      message: `${setting} has characters that PostgreSQL's clients change before they send them ` +
        "(RFC 4013), not all in the same way; use printable ASCII, or letters in composed form",
    });
  }
  return scramVerifier(password.reveal());
}

async function run(
  connection: Connection,
  script: string,
  parameters: Readonly<Record<string, string>>,
): Promise<void> {
  for (const [name, value] of Object.entries(parameters)) {
    await connection.sql`select set_config(${name}, ${value}, false)`;
  }
  await connection.script(script);
}

async function ensureDatabase(sql: Sql, database: string, owner: string): Promise<string> {
  const [row] = await sql<{ name: string; ownerName: string; owner: string | null }>`
    select quote_ident(${database}) as name, quote_ident(${owner}) as "ownerName",
      (select pg_get_userbyid(datdba) from pg_database where datname = ${database}) as owner
  `;
  const { name, ownerName, owner: current } = row!;
  if (current === owner) return `database ${name}: already there`;
  if (current === null) {
    try {
      await sql`create database ${sql.identifier(database)} owner ${sql.identifier(owner)}`;
      return `database ${name}: created`;
    } catch (error) {
      // Somebody else was faster.
      if (!(error instanceof DatabaseError) || error.sqlState !== DUPLICATE_DATABASE) throw error;
    }
  }
  await sql`alter database ${sql.identifier(database)} owner to ${sql.identifier(owner)}`;
  return `database ${name}: given to ${ownerName}`;
}
