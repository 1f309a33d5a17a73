import type { DatabaseConfig, Login, RoleNames } from "./config.ts";
import type { Report } from "./config_error.ts";
import type { ReadTextFile } from "./files.ts";
import { readPassword } from "./password.ts";
import type { ReadSettings } from "./read_settings.ts";
import { loginSources, type Source } from "./sources.ts";

/** PostgreSQL truncates longer names, so that two names could become the same role. */
const MAX_NAME_BYTES = 63;

/** The connection settings of migrations: with the login of `DB_MIGRATION_USER` if it is set. */
export function asMigrator(database: DatabaseConfig): DatabaseConfig {
  return { ...database, ...database.migrator };
}

/** Reads the login of migrations; `undefined` if it is that of the service. */
export function readMigrator(
  { values }: ReadSettings,
  sources: readonly Source[],
  readTextFile: ReadTextFile,
  report: Report,
): Login | undefined {
  const own = loginSources(sources, {
    DB_USER: "DB_MIGRATION_USER",
    DB_PASSWORD: "DB_MIGRATION_PASSWORD",
    DB_PASSWORD_FILE: "DB_MIGRATION_PASSWORD_FILE",
  });
  const password = readPassword(own, readTextFile, report);
  const user = values.DB_MIGRATION_USER;
  if (user === undefined && (password.password ?? password.passwordFile) !== undefined) {
    report("DB_MIGRATION_USER", "is not set, but its password is; set both or neither");
  }
  return user === undefined ? undefined : { user, ...password };
}

/** Reads the names of the group roles. Their defaults derive from the database name. */
export function roleNames({ values, areSound }: ReadSettings, report: Report): RoleNames {
  const named = (setting: RoleSetting, suffix: string) => {
    const name = values[setting] ?? `${values.DB_NAME}${suffix}`;
    if (new TextEncoder().encode(name).length > MAX_NAME_BYTES && areSound("DB_NAME")) {
      report(
        setting,
        `is not set, and its default, DB_NAME followed by ${suffix}, is longer than 63 bytes`,
      );
    }
    return name;
  };
  return {
    owner: named("DB_OWNER_ROLE", "_owner"),
    readWrite: named("DB_READ_WRITE_ROLE", "_read_write"),
    readOnly: named("DB_READ_ONLY_ROLE", "_read_only"),
  };
}

type RoleSetting = "DB_OWNER_ROLE" | "DB_READ_WRITE_ROLE" | "DB_READ_ONLY_ROLE";
