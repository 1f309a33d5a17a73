import type { PoolerMode } from "./config.ts";
import type { Report } from "./config_error.ts";
import type { ReadSettings } from "./read_settings.ts";

/**
 * Reads DB_POOLER, and reports settings that do not work behind a pooler: session state is lost, or
 * leaks to another client, when the pooler assigns another server session.
 */
export function readPooler({ values, areSound }: ReadSettings, report: Report): PoolerMode {
  const { DB_POOLER: pooler, DB_OPTIONS: options, DB_MIGRATE_ON_START: migrateOnStart } = values;
  if (!areSound("DB_POOLER") || pooler === "none") return pooler;
  if (options !== undefined && areSound("DB_OPTIONS")) {
    report(
      "DB_OPTIONS",
      `does not work through a connection pooler (DB_POOLER is ${pooler})`,
      "unset; set the options for the role: alter role ... in database ... set ...",
    );
  }
  if (migrateOnStart && areSound("DB_MIGRATE_ON_START")) {
    report(
      "DB_MIGRATE_ON_START",
      `requires a direct connection to the server (DB_POOLER is ${pooler})`,
      "false; migrate through the address of the server itself: DB_POOLER=none deno task migrate up",
    );
  }
  return pooler;
}
