import { asMigrator, type Config, type DatabaseConfig } from "../../config/mod.ts";
import { DatabaseError, type Logger, migrateUp } from "../../database/mod.ts";
import { asOwner, provision, verifyService } from "./provision/mod.ts";

const say = (line: string) => console.log(`  ${line}`);

const printer: Logger = {
  info: (_, message) => say(message),
  warn: (_, message) => say(`warning: ${message}`),
  error: (_, message) => say(message),
};

/**
 * Creates the configured database and roles, migrates the schema, and verifies the privileges of
 * the service. Prints every step.
 *
 * @throws {DatabaseError} If the server refuses a step, or the service has too many privileges.
 */
export async function initialize(
  { database: service, roles }: Config,
  admin: DatabaseConfig,
  signal: AbortSignal,
): Promise<void> {
  const servers = admin.hosts.map(({ host, port }) => `${host}:${port}`).join(", ");
  console.log(`Roles and database, as ${admin.user} on ${servers}`);
  await checkLogin(
    "DB_ADMIN_USER and DB_ADMIN_PASSWORD",
    provision({ admin, service, roles, say, signal }),
  );

  const { migrator } = service;
  console.log(`Migrations, as ${migrator?.user ?? roles.owner}`);
  const migrating = migrator === undefined ? asOwner(admin, service, roles) : asMigrator(service);
  const { version, applied } = await checkLogin(
    "DB_MIGRATION_USER and DB_MIGRATION_PASSWORD",
    migrateUp(migrating, { signal, logger: printer }),
  );
  if (applied.length === 0) say(`nothing to do: the schema has version ${version}`);

  console.log(`Verification, as ${service.user}`);
  await checkLogin("DB_USER and DB_PASSWORD", verifyService(service, say, signal));

  console.log(`The database ${service.database} is ready.`);
  if (service.migrateOnStart && migrator === undefined) {
    console.warn(
      "DB_MIGRATE_ON_START is on, but the role of the service may not change the schema: set " +
        "DB_MIGRATION_USER and its password, or turn it off and migrate with deno task db:init.",
    );
  }
}

/** Adds the settings to check to the error of a rejected login. */
export async function checkLogin<T>(settings: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof DatabaseError) || error.code !== "AUTHENTICATION_FAILED") throw error;
    const { message, sqlState, cause } = error;
    throw new DatabaseError("AUTHENTICATION_FAILED", {
      message: `${message}: check ${settings}`,
      sqlState,
      cause,
    });
  }
}
