import type { DatabaseConfig } from "./config.ts";
import { ConfigError } from "./config_error.ts";
import { loadFrom } from "./load.ts";
import { type PlaceOptions, readPlaces } from "./places.ts";
import { openAdminSources } from "./sources.ts";

/** Every server has it, unless somebody dropped it. */
const MAINTENANCE_DATABASE = "postgres";

/**
 * Reads how an administrator connects: to the service's server in the service's way, with the login
 * and the database of `DB_ADMIN_URL` and the other `DB_ADMIN_*` settings.
 *
 * @throws {ConfigError} Lists every problem at once; also when there is no administrator.
 */
export function loadAdminConfig(options: PlaceOptions): DatabaseConfig {
  const sources = openAdminSources(readPlaces(options, () => {}), () => {});
  const isSet = (name: "DB_USER" | "DB_NAME") => sources.some((source) => source(name));
  const { database } = loadFrom(options, openAdminSources);
  if (!isSet("DB_USER")) {
    throw new ConfigError([{
      setting: "DB_ADMIN_USER",
      problem: "is not set, nor has DB_ADMIN_URL a user",
      allowed: "a role that may make roles and databases, such as postgres",
    }]);
  }
  return isSet("DB_NAME") ? database : { ...database, database: MAINTENANCE_DATABASE };
}
