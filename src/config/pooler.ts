import type { PoolerMode } from "./config.ts";
import type { Report } from "./config_error.ts";
import type { ReadSettings } from "./read_settings.ts";

/**
 * Reads DB_POOLER, and reports settings that a pooler cannot carry out: what is set for one session
 * is lost in another one, or is found there by somebody else.
 */
export function readPooler({ values, areSound }: ReadSettings, report: Report): PoolerMode {
  const { DB_POOLER: pooler, DB_OPTIONS: options, DB_MIGRATE_ON_START: migrateOnStart } = values;
  if (!areSound("DB_POOLER") || pooler === "none") return pooler;
  if (options !== undefined && areSound("DB_OPTIONS")) {
    report(
      "DB_OPTIONS",
      `cannot be passed on by a pooler (DB_POOLER is ${pooler})`,
      "set them for the role: alter role ... in database ... set ...",
    );
  }
  if (migrateOnStart && areSound("DB_MIGRATE_ON_START")) {
    report(
      "DB_MIGRATE_ON_START",
      `needs a connection to the server itself (DB_POOLER is ${pooler})`,
      "false; migrate with the server's own address: DB_POOLER=none deno task migrate up",
    );
  }
  return pooler;
}
