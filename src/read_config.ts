import { ConfigError, ConfigSource, databaseNaming, environmentNames } from "./config/mod.ts";

/**
 * Opens the settings of this process: its environment and the `.env` file in the working directory.
 * Reads only the variables of known settings, so Deno needs no other permission.
 *
 * @throws {ConfigError} If no setting configures the database, or `.env` cannot be read.
 */
export function openConfigSource(): ConfigSource {
  const env = Object.fromEntries(environmentNames.map((name) => [name, Deno.env.get(name)]));
  const source = new ConfigSource({ env, envFile: ".env" });
  if (!source.isDatabaseConfigured()) {
    const [, ...others] = databaseNaming;
    throw new ConfigError([{
      setting: "DATABASE_URL",
      problem: `is not set, and neither is any of ${others.join(", ")}`,
      allowed: "postgresql://user:password@host:port/database; `deno task dev` needs no database",
    }]);
  }
  return source;
}
