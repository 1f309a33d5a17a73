/**
 * Migrates the configured database: `deno task migrate up`.
 *
 * @module
 */
import process from "node:process";
import { ConfigError, isDatabaseConfigured, loadConfig } from "./config/mod.ts";
import { DatabaseError, type Logger, migrateUp, readSchemaVersion } from "./database/mod.ts";

const USAGE = `Usage: deno task migrate <command>

  up       apply every migration that has not been applied
  version  print the version of the schema

The database is the one that the service would use: see docs/configuration.md.`;

/** Lines for people; the service itself logs JSON. */
const logger: Logger = {
  info: (_, message) => console.log(message),
  warn: (_, message) => console.warn(message),
  error: (_, message) => console.error(message),
};

async function migrate(args: readonly string[]): Promise<number> {
  const [command] = args;
  if (args.length !== 1 || (command !== "up" && command !== "version")) {
    console.error(USAGE);
    return 2;
  }
  const places = { env: Deno.env.toObject(), envFile: ".env" };
  if (!isDatabaseConfigured(places)) {
    console.error("No database is configured: set DATABASE_URL or DB_HOST.");
    return 1;
  }
  const { database } = loadConfig(places);
  if (command === "up") {
    const { version, applied } = await migrateUp(database, { logger });
    if (applied.length === 0) console.log(`Nothing to do: the schema has version ${version}`);
  } else {
    const current = await readSchemaVersion(database);
    const dirty = current?.dirty ? " (dirty: a migration was left unfinished)" : "";
    console.log(current === undefined ? "no version" : `${current.version}${dirty}`);
  }
  return 0;
}

if (import.meta.main) {
  try {
    process.exitCode = await migrate(Deno.args);
  } catch (error) {
    if (!(error instanceof ConfigError || error instanceof DatabaseError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
