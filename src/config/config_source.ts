import type { Config, DatabaseConfig } from "./config.ts";
import { ConfigError, type ConfigProblem } from "./config_error.ts";
import { type ReadTextFile, readTextFileOfDisk } from "./files.ts";
import { loadFrom } from "./load.ts";
import { type ConfigSourceOptions, type Place, readPlaces } from "./places.ts";
import { checkRenamed } from "./renamed_settings.ts";
import { settingNames } from "./settings.ts";
import { isConfidential, openAdminSources, openSources } from "./sources.ts";

/** A setting that does not have its default. */
export interface SettingInUse {
  /** The text that was set; `[redacted]` if it may contain a secret. */
  readonly value: string;
  /** The variable that set it, and the file if it is in one: `DATABASE_URL in .env`. */
  readonly from: string;
}

/** The setting names that say which database to use. Without any of them, none is configured. */
export const databaseNaming: readonly string[] = [
  "DATABASE_URL",
  "DB_HOST",
  "DB_NAME",
  "DB_USER",
  "PGHOST",
];

/** The maintenance database of every PostgreSQL server, unless it was dropped. */
const MAINTENANCE_DATABASE = "postgres";

/**
 * The environment and the `.env` file, each read once, and what they configure. Files that settings
 * name (certificates, passwords) are read by each `load`.
 *
 * ```ts
 * const source = new ConfigSource({ env: { DB_HOST: "db.internal" } });
 * source.load().database.hosts; // [{ host: "db.internal", port: 5432 }]
 * source.settingsInUse(); // { DB_HOST: { value: "db.internal", from: "DB_HOST" } }
 * ```
 */
export class ConfigSource {
  readonly #places: readonly Place[];
  readonly #readTextFile: ReadTextFile;
  /** Of the `.env` file itself. */
  readonly #problems: ConfigProblem[] = [];

  /** Reads the `.env` file. If that fails, `load` reports it with all other problems. */
  constructor(options: ConfigSourceOptions) {
    this.#readTextFile = options.readTextFile ?? readTextFileOfDisk;
    this.#places = readPlaces(options, this.#readTextFile, (setting, problem, allowed) => {
      this.#problems.push({ setting, problem, allowed });
    });
  }

  /**
   * Whether any of {@linkcode databaseNaming} is set. `load` does not require it, because its
   * defaults are enough for an embedded database.
   *
   * @throws {ConfigError} If the `.env` file exists but cannot be read.
   */
  isDatabaseConfigured(): boolean {
    if (this.#problems.length > 0) throw new ConfigError(this.#problems);
    return this.#places.some(({ variables }) => databaseNaming.some((name) => variables.has(name)));
  }

  /**
   * Reads and validates every setting, and the files that settings name.
   *
   * Precedence: the environment, its `DATABASE_URL`, the `.env` file, the file's `DATABASE_URL`,
   * the environment's `PG*`, the file's `PG*`, the default. An empty variable counts as unset.
   *
   * @throws {ConfigError} If a setting is invalid. It lists all problems.
   */
  load(): Config {
    return loadFrom(this.#places, this.#readTextFile, openSources, this.#problems);
  }

  /**
   * Reads how an administrator connects: to the service's server with the service's settings, but
   * with the login and the database of `DB_ADMIN_URL` and `DB_ADMIN_*`.
   *
   * @throws {ConfigError} If a setting is invalid, or no administrator is configured.
   */
  loadAdmin(): DatabaseConfig {
    const { database } = loadFrom(
      this.#places,
      this.#readTextFile,
      openAdminSources,
      this.#problems,
    );
    const sources = openAdminSources(this.#places, () => {});
    const isSet = (name: "DB_USER" | "DB_NAME") => sources.some((source) => source(name));
    if (!isSet("DB_USER")) {
      throw new ConfigError([{
        setting: "DB_ADMIN_USER",
        problem: "is not set, and DB_ADMIN_URL has no user",
        allowed: "a role that may create roles and databases, such as postgres",
      }]);
    }
    return isSet("DB_NAME") ? database : { ...database, database: MAINTENANCE_DATABASE };
  }

  /** Every setting that has been set and where, without secrets: for the log. */
  settingsInUse(): Readonly<Record<string, SettingInUse>> {
    const sources = openSources(this.#places, () => {});
    const inUse: Record<string, SettingInUse> = {};
    for (const name of settingNames) {
      const sourced = sources.map((source) => source(name)).find((found) => found !== undefined);
      if (sourced === undefined) continue;
      const { text, variable, place } = sourced;
      inUse[name] = {
        value: isConfidential(name, text) ? "[redacted]" : text,
        from: place.file === undefined ? variable : `${variable} in ${place.file}`,
      };
    }
    return inUse;
  }

  /** What works and should be changed, such as a renamed setting. One sentence each. */
  warnings(): readonly string[] {
    const warnings: string[] = [];
    for (const place of this.#places) {
      checkRenamed(place, { warn: (warning) => warnings.push(warning), report: () => {} });
    }
    return warnings;
  }
}

/**
 * Reads and validates every setting in one step; see {@linkcode ConfigSource.load}.
 *
 * ```ts
 * const config = loadConfig({ env: { DB_HOST: "db.internal" } });
 * config.database.hosts; // [{ host: "db.internal", port: 5432 }]
 * ```
 *
 * @throws {ConfigError} If a setting is invalid. It lists all problems.
 */
export function loadConfig(options: ConfigSourceOptions): Config {
  return new ConfigSource(options).load();
}
