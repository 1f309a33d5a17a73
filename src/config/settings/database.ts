import { connectionUri } from "../connection_uri.ts";
import { hosts, hostsWithPorts, ports } from "../values/network.ts";
import {
  boolean,
  filePath,
  oneOf,
  parsedBy,
  seconds,
  secretText,
  text,
} from "../values/value_type.ts";
import type { Setting } from "./setting.ts";

const schemaName = parsedBy("one schema name of at most 63 bytes, no comma", (value, fail) => {
  if (value.includes(",")) fail("contains more than one schema");
  if (!text(63).schema.safeParse(value).success) fail("is longer than 63 bytes");
  return value;
});

/** Where the database is and how to connect to it. */
export const databaseSettings = {
  DATABASE_URL: {
    meaning: "The database as one connection string. DB_* settings take precedence over its " +
      "parts.",
    type: connectionUri,
    example: "postgresql://treasury_user:treasury_pass@localhost:5432/treasury_db?sslmode=disable",
    confidential: true,
  },
  DB_HOST: {
    meaning: "Host of the server. Several hosts are tried in order.",
    type: hosts,
    default: "localhost",
    parameter: "host",
    fallback: "PGHOST",
    starter: true,
  },
  DB_PORT: {
    meaning: "Port of the server: one for all hosts, or one for each.",
    type: ports,
    default: "5432",
    parameter: "port",
    fallback: "PGPORT",
    starter: true,
  },
  DB_READ_HOSTS: {
    meaning: "Standbys that serve reads while the primary is unavailable, tried in order. All " +
      "other settings are those of DB_HOST. The default port is 5432.",
    type: hostsWithPorts,
    example: "replica1.internal:5432,replica2.internal",
  },
  DB_NAME: {
    meaning: "Name of the database.",
    type: text(63),
    default: "treasury_db",
    parameter: "dbname",
    fallback: "PGDATABASE",
    starter: true,
  },
  DB_USER: {
    meaning: "Role to connect as.",
    type: text(63),
    default: "treasury_user",
    parameter: "user",
    fallback: "PGUSER",
    starter: true,
  },
  DB_PASSWORD: {
    meaning: "Password of the role. Mutually exclusive with DB_PASSWORD_FILE.",
    type: secretText,
    example: "treasury_pass",
    confidential: true,
    parameter: "password",
    fallback: "PGPASSWORD",
    starter: true,
  },
  DB_PASSWORD_FILE: {
    meaning: "File that contains the password. It is read again for every new connection.",
    type: filePath("the password"),
    example: "/run/secrets/db_password",
  },
  DB_SCHEMA: {
    meaning: "First schema of the search path.",
    type: schemaName,
    default: "public",
    parameter: "search_path",
    starter: true,
  },
  DB_SSL_MODE: {
    meaning: "TLS mode of the connection, as sslmode in libpq.",
    type: oneOf("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    default: "disable",
    parameter: "sslmode",
    fallback: "PGSSLMODE",
    starter: true,
  },
  DB_SSL_ROOT_CERT: {
    meaning: "CA certificates to trust, or `system` for those of the runtime.",
    type: filePath("PEM certificates, or system"),
    example: "/etc/treasury/ca.pem",
    parameter: "sslrootcert",
    fallback: "PGSSLROOTCERT",
  },
  DB_SSL_CERT: {
    meaning: "Client certificate. Requires DB_SSL_KEY.",
    type: filePath("a PEM certificate"),
    example: "/etc/treasury/client.pem",
    parameter: "sslcert",
    fallback: "PGSSLCERT",
  },
  DB_SSL_KEY: {
    meaning: "Private key of the client certificate.",
    type: filePath("an unencrypted PEM key"),
    example: "/etc/treasury/client-key.pem",
    parameter: "sslkey",
    fallback: "PGSSLKEY",
  },
  DB_CONNECT_TIMEOUT: {
    meaning: "Maximum time to open a connection, shared by all hosts and addresses. (In libpq, " +
      "it applies to each host.)",
    type: seconds(),
    default: "5",
    parameter: "connect_timeout",
    fallback: "PGCONNECT_TIMEOUT",
  },
  DB_APPLICATION_NAME: {
    meaning: "application_name of the sessions, as shown in pg_stat_activity.",
    type: text(63),
    default: "treasury-service",
    parameter: "application_name",
    fallback: "PGAPPNAME",
  },
  DB_OPTIONS: {
    meaning: "Command-line options for the server session, as options in libpq.",
    type: text(4096),
    example: "-c statement_timeout=30s",
    parameter: "options",
    fallback: "PGOPTIONS",
  },
  DB_TARGET_SESSION_ATTRS: {
    meaning: "Type of server to accept, as target_session_attrs in libpq. prefer-read-write " +
      "accepts a read-only server only while no other can be reached.",
    type: oneOf(
      "prefer-read-write",
      "any",
      "read-write",
      "read-only",
      "primary",
      "standby",
      "prefer-standby",
    ),
    default: "prefer-read-write",
    parameter: "target_session_attrs",
    fallback: "PGTARGETSESSIONATTRS",
  },
  DB_POOLER: {
    meaning: "Pool mode of the connection pooler (such as PgBouncer) in front of the database; " +
      "none if there is no pooler. See docs/scaling.md.",
    type: oneOf("none", "session", "transaction"),
    default: "none",
  },
  DB_KEEPALIVES: {
    meaning: "Whether to send TCP keepalives, which detect dead connections.",
    type: boolean,
    default: "true",
    parameter: "keepalives",
  },
  DB_KEEPALIVES_IDLE: {
    meaning: "Idle time of a connection before the first TCP keepalive.",
    type: seconds("the system's default"),
    default: "60",
    parameter: "keepalives_idle",
  },
} satisfies Record<string, Setting>;
