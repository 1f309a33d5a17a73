import {
  type Config,
  ConfigError,
  type DatabaseConfig,
  databaseNaming,
  environmentNames,
  isDatabaseConfigured,
  loadAdminConfig,
  loadConfig,
  type PlaceOptions,
  type SettingInUse,
  settingsInUse,
} from "./config/mod.ts";

/**
 * Reads the settings of this process: its environment and the `.env` file beside it. Asks for its
 * own variables only, so a list of them is permission enough.
 *
 * @throws {ConfigError} Settings that are wrong, or none that says which database to use.
 */
export function readConfig(): Config {
  const places = ownPlaces();
  if (!isDatabaseConfigured(places)) {
    const [, ...others] = databaseNaming;
    throw new ConfigError([{
      setting: "DATABASE_URL",
      problem: `is not set, nor is any of ${others.join(", ")}`,
      allowed: "postgresql://user:password@host:port/database; `deno task dev` needs no database",
    }]);
  }
  return loadConfig(places);
}

/** Says what has set the settings that {@linkcode readConfig} gives, for the log. */
export function readSettingsInUse(): Readonly<Record<string, SettingInUse>> {
  return settingsInUse(ownPlaces());
}

/**
 * Reads how an administrator connects, from the same places.
 *
 * @throws {ConfigError} Settings that are wrong, or no administrator.
 */
export function readAdminConfig(): DatabaseConfig {
  return loadAdminConfig(ownPlaces());
}

function ownPlaces(): PlaceOptions {
  const env = Object.fromEntries(environmentNames.map((name) => [name, Deno.env.get(name)]));
  return { env, envFile: ".env" };
}
