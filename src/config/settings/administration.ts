import { connectionUri } from "../connection_uri.ts";
import { filePath, secretText, text } from "../values/value_type.ts";
import type { Setting } from "./setting.ts";

/** The logins of migrations and of the administrator, and the roles that `deno task db:init` creates. */
export const administrationSettings = {
  DB_MIGRATION_USER: {
    meaning: "Role that migrates the schema, so that DB_USER needs no DDL privileges. Default: " +
      "DB_USER.",
    type: text(63),
    example: "treasury_migrator",
  },
  DB_MIGRATION_PASSWORD: {
    meaning: "Password of DB_MIGRATION_USER. Mutually exclusive with DB_MIGRATION_PASSWORD_FILE.",
    type: secretText,
    example: "treasury_migrator_pass",
    confidential: true,
  },
  DB_MIGRATION_PASSWORD_FILE: {
    meaning: "File that contains the password of DB_MIGRATION_USER.",
    type: filePath("the password"),
    example: "/run/secrets/db_migration_password",
  },
  DB_OWNER_ROLE: {
    meaning: "NOLOGIN role that owns the database and all its objects. Default: the database " +
      "name followed by `_owner`.",
    type: text(63),
    example: "treasury_db_owner",
  },
  DB_READ_WRITE_ROLE: {
    meaning: "NOLOGIN role that reads and writes rows; DB_USER is a member. Default: the " +
      "database name followed by `_read_write`.",
    type: text(63),
    example: "treasury_db_read_write",
  },
  DB_READ_ONLY_ROLE: {
    meaning: "NOLOGIN role that reads rows. Default: the database name followed by `_read_only`.",
    type: text(63),
    example: "treasury_db_read_only",
  },
  DB_ADMIN_URL: {
    meaning: "Connection string that `db:init` and `db:reset` use. Omitted parts are those of " +
      "the service, except the database, which is `postgres`. The service itself never " +
      "uses it.",
    type: connectionUri,
    example: "postgresql://postgres:postgres_pass@localhost:5432/postgres",
    confidential: true,
  },
  DB_ADMIN_USER: {
    meaning: "Role that may create roles and databases. Takes precedence over the user in " +
      "DB_ADMIN_URL.",
    type: text(63),
    example: "postgres",
  },
  DB_ADMIN_PASSWORD: {
    meaning: "Password of the administrator. Mutually exclusive with DB_ADMIN_PASSWORD_FILE.",
    type: secretText,
    example: "postgres_pass",
    confidential: true,
  },
  DB_ADMIN_PASSWORD_FILE: {
    meaning: "File that contains the password of the administrator.",
    type: filePath("the password"),
    example: "/run/secrets/db_admin_password",
  },
} satisfies Record<string, Setting>;
