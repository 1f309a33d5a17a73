import type { DatabaseConfig, RoleNames } from "../../../config/mod.ts";
import { type Connection, DatabaseError, type Sql } from "../../../database/mod.ts";
import { withSession } from "../session.ts";
import privilegesScript from "./privileges.sql" with { type: "text" };
import rolesScript from "./roles.sql" with { type: "text" };
import { isPlainPassword, scramVerifier } from "./scram.ts";

const DUPLICATE_DATABASE = "42P04";

/** What to create, for which service, and as which administrator. */
export interface ProvisionOptions {
  /** A superuser, or a role with CREATEROLE and CREATEDB, and the database to connect to. */
  readonly admin: DatabaseConfig;
  /** The service and its optional migrator: their logins, the database and its schema. */
  readonly service: DatabaseConfig;
  readonly roles: RoleNames;
  /** Called with a line for each thing that was created, changed, or found up to date. */
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Creates the roles, the database, its schema and all privileges, or changes existing ones to
 * match. Safe to repeat. Passwords are not sent: the server receives SCRAM verifiers.
 *
 * Afterwards the role of the service can only read and write rows; members of the owner role change
 * the schema.
 *
 * @throws {DatabaseError} If the server refuses a statement; `INVALID_USE` for invalid names or
 * passwords. Completed steps are kept, and the next call continues from there.
 */
export async function provision(options: ProvisionOptions): Promise<void> {
  const { admin, service, signal } = options;
  checkNames(options);
  const session = {
    signal,
    onNotice: ({ message, severity }: Readonly<Record<string, string>>) =>
      options.say(severity === "NOTICE" ? message ?? "" : `${severity}: ${message}`),
  };
  // The search path of an administrator has no objects that others can create (CVE-2018-1058).
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

/** Returns the login of an administrator who acts as the owner role, which cannot log in. */
export function asOwner(
  admin: DatabaseConfig,
  { database, schema }: DatabaseConfig,
  { owner }: RoleNames,
): DatabaseConfig {
  // The server splits options at spaces that are not escaped with a backslash.
  const role = `-c role=${owner.replaceAll(/[\\\s]/g, "\\$&")}`;
  return { ...admin, database, schema, options: [admin.options, role].filter(Boolean).join(" ") };
}

function checkNames({ service, roles }: ProvisionOptions): void {
  const names = [service.user, service.migrator?.user, ...Object.values(roles)]
    .filter((name) => name !== undefined);
  const double = names.find((name, index) => names.indexOf(name) !== index);
  if (double !== undefined) {
    throw new DatabaseError("INVALID_USE", {
      message: `${JSON.stringify(double)} is used for two roles: DB_USER, DB_MIGRATION_USER, ` +
        "DB_OWNER_ROLE, DB_READ_WRITE_ROLE and DB_READ_ONLY_ROLE must all differ",
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

/** Empty without a password: the role then uses another method, such as a certificate. */
function verifierOf(password: DatabaseConfig["password"], setting: string): string {
  if (password === undefined) return "";
  if (!isPlainPassword(password.reveal())) {
    throw new DatabaseError("INVALID_USE", {
      message:
        `${setting} contains characters that some PostgreSQL clients change before sending ` +
        "them (RFC 4013); use printable ASCII, or letters in composed form",
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
  if (current === owner) return `database ${name}: already exists`;
  if (current === null) {
    try {
      await sql`create database ${sql.identifier(database)} owner ${sql.identifier(owner)}`;
      return `database ${name}: created`;
    } catch (error) {
      // Created concurrently.
      if (!(error instanceof DatabaseError) || error.sqlState !== DUPLICATE_DATABASE) throw error;
    }
  }
  await sql`alter database ${sql.identifier(database)} owner to ${sql.identifier(owner)}`;
  return `database ${name}: owner changed to ${ownerName}`;
}
