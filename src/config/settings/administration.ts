import { connectionUri } from "../connection_uri.ts";
import { filePath, secretText, text } from "../values/value_type.ts";
import type { Setting } from "./setting.ts";

/** Who migrates, who administrates, and the roles that `deno task db:init` makes. */
export const administrationSettings = {
  DB_MIGRATION_USER: {
    meaning: "Role that migrates the schema, which the service's role then need not be allowed. " +
      "Unset, DB_USER migrates.",
    type: text(63),
    example: "treasury_migrator",
  },
  DB_MIGRATION_PASSWORD: {
    meaning: "Password of DB_MIGRATION_USER. Not together with DB_MIGRATION_PASSWORD_FILE.",
    type: secretText,
    example: "treasury_migrator_pass",
    confidential: true,
  },
  DB_MIGRATION_PASSWORD_FILE: {
    meaning: "File that holds the password of DB_MIGRATION_USER.",
    type: filePath("the password"),
    example: "/run/secrets/db_migration_password",
  },
  DB_OWNER_ROLE: {
    meaning: "Role without login that owns the database and all that is in it. " +
      "Unset, the name of the database and `_owner`.",
    type: text(63),
    example: "treasury_db_owner",
  },
  DB_READ_WRITE_ROLE: {
    meaning: "Role without login that reads and writes rows; DB_USER is a member. " +
      "Unset, the name of the database and `_read_write`.",
    type: text(63),
    example: "treasury_db_read_write",
  },
  DB_READ_ONLY_ROLE: {
    meaning: "Role without login that reads rows. " +
      "Unset, the name of the database and `_read_only`.",
    type: text(63),
    example: "treasury_db_read_only",
  },
  DB_ADMIN_URL: {
    meaning: "How `db:init` and `db:reset` connect, as a connection string. What it leaves out " +
      "is as for the service, but for the database, which is `postgres`. Never read by the service.",
    type: connectionUri,
    example: "postgresql://postgres:postgres_pass@localhost:5432/postgres",
    confidential: true,
  },
  DB_ADMIN_USER: {
    meaning: "Role that may make roles and databases. Wins over its part of DB_ADMIN_URL.",
    type: text(63),
    example: "postgres",
  },
  DB_ADMIN_PASSWORD: {
    meaning: "Password of the administrator. Not together with DB_ADMIN_PASSWORD_FILE.",
    type: secretText,
    example: "postgres_pass",
    confidential: true,
  },
  DB_ADMIN_PASSWORD_FILE: {
    meaning: "File that holds the password of the administrator.",
    type: filePath("the password"),
    example: "/run/secrets/db_admin_password",
  },
} satisfies Record<string, Setting>;
