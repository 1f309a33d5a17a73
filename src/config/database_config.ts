import type { DatabaseConfig, DatabaseTlsConfig } from "./config.ts";
import { ConfigError, type ConfigProblem } from "./config_error.ts";
import { loadConfig } from "./config_source.ts";
import { readTextFileOfDisk } from "./files.ts";
import { Secret } from "./secret.ts";
import { type SettingName, settingOf } from "./settings.ts";
import { isConfidential } from "./sources.ts";

/** What {@linkcode databaseConfig} takes beside the URL: any field of a {@linkcode DatabaseConfig}. */
export type DatabaseOverrides =
  & {
    readonly [Field in keyof Omit<DatabaseConfig, "password" | "tls">]?:
      | DatabaseConfig[Field]
      | undefined;
  }
  & {
    /** Password of the role. Printing the configuration does not show it. */
    readonly password?: Secret | string | undefined;
    /** Certificates and keys as PEM text; `rootCert: "system"` is libpq's `sslrootcert=system`. */
    readonly tls?: Partial<DatabaseTlsConfig> | undefined;
  };

/**
 * The setting that stands for each field. It has the default and the rules: an override is read as
 * the text of its setting, so that there is one place that knows what is allowed.
 */
const SETTINGS = {
  readHosts: "DB_READ_HOSTS",
  database: "DB_NAME",
  user: "DB_USER",
  password: "DB_PASSWORD",
  passwordFile: "DB_PASSWORD_FILE",
  schema: "DB_SCHEMA",
  applicationName: "DB_APPLICATION_NAME",
  options: "DB_OPTIONS",
  targetSessionAttrs: "DB_TARGET_SESSION_ATTRS",
  pooler: "DB_POOLER",
  connectTimeoutMs: "DB_CONNECT_TIMEOUT",
  keepAlives: "DB_KEEPALIVES",
  keepAlivesIdleMs: "DB_KEEPALIVES_IDLE",
  maxConnections: "DB_MAX_CONNECTIONS",
  serviceInstances: "DB_SERVICE_INSTANCES",
  maxIdleConnections: "DB_MAX_IDLE_CONNECTIONS",
  minIdleConnections: "DB_MIN_IDLE_CONNECTIONS",
  maxConnecting: "DB_MAX_CONNECTING",
  connectionMaxLifetimeMs: "DB_CONNECTION_MAX_LIFETIME",
  connectionMaxIdleTimeMs: "DB_CONNECTION_MAX_IDLE_TIME",
  acquireTimeoutMs: "DB_ACQUIRE_TIMEOUT",
  acquireQueueLimit: "DB_ACQUIRE_QUEUE_LIMIT",
  idleCheckAfterMs: "DB_IDLE_CHECK_AFTER",
  leakWarningAfterMs: "DB_LEAK_WARNING_AFTER",
  pingTimeoutMs: "DB_PING_TIMEOUT",
  circuitFailureThreshold: "DB_CIRCUIT_FAILURE_THRESHOLD",
  retryInitialDelayMs: "DB_RETRY_INITIAL_DELAY",
  retryMaxDelayMs: "DB_RETRY_MAX_DELAY",
  authRetryDelayMs: "DB_AUTH_RETRY_DELAY",
  migrateOnStart: "DB_MIGRATE_ON_START",
} satisfies Record<
  Exclude<keyof DatabaseOverrides, "hosts" | "tls" | "migrator">,
  SettingName
>;

/** The same for what is inside of `hosts`, `tls` and `migrator`. */
const INNER_SETTINGS = {
  "hosts": "DB_HOST",
  "hosts.port": "DB_PORT",
  "tls.mode": "DB_SSL_MODE",
  "tls.rootCert": "DB_SSL_ROOT_CERT",
  "tls.cert": "DB_SSL_CERT",
  "tls.key": "DB_SSL_KEY",
  "migrator.user": "DB_MIGRATION_USER",
  "migrator.password": "DB_MIGRATION_PASSWORD",
  "migrator.passwordFile": "DB_MIGRATION_PASSWORD_FILE",
} satisfies Record<string, SettingName>;

const SETTING_OF: ReadonlyMap<string, SettingName> = new Map(
  Object.entries({ ...SETTINGS, ...INNER_SETTINGS }),
);
const FIELD_OF = new Map([...SETTING_OF].map(([field, setting]) => [setting as string, field]));

/** Fields whose settings name a file. */
const IN_FILES: ReadonlySet<string> = new Set(["tls.rootCert", "tls.cert", "tls.key"]);

/**
 * Makes the configuration of one database from its connection URL, for a program that does not have
 * the settings of this service. What neither the URL nor `overrides` set has the default of its
 * setting. No environment variable is read; the files that the URL names are (`sslrootcert`,
 * `sslcert`, `sslkey`).
 *
 * ```ts
 * import { databaseConfig } from "@treasury-service/kit/config";
 *
 * const config = databaseConfig("postgresql://ada@db.internal/ledger", { maxConnections: 10 });
 * config.hosts; // [{ host: "db.internal", port: 5432 }]
 * config.maxConnections; // 10
 * config.acquireTimeoutMs; // 5000, the default of DB_ACQUIRE_TIMEOUT
 * ```
 *
 * @param url A connection URI as libpq's; it may list several hosts. Source:
 * https://www.postgresql.org/docs/16/libpq-connect.html#LIBPQ-CONNSTRING-URIS
 * @param overrides Take precedence over the URL. Durations are in milliseconds.
 * @throws {ConfigError} Lists every problem with the name of its field, or `url`. It contains
 * nothing of the URL, and no password.
 */
export function databaseConfig(
  url: string | URL,
  overrides: DatabaseOverrides = {},
): DatabaseConfig {
  const problems: ConfigProblem[] = [];
  const env: Record<string, string> = {};
  const files = new Map<string, string>();
  const set = (field: string, setting: SettingName, value: unknown) => {
    const text = textOf(field, value);
    const problem = problemOf(setting, text);
    if (problem !== undefined) {
      problems.push({ setting: field, ...inUnitOf(field, setting, value, problem) });
    } else if (IN_FILES.has(field) && text !== "system") {
      // No file has such a name, so that the loader finds the text itself.
      env[setting] = `\0${field}`;
      files.set(`\0${field}`, text);
    } else {
      env[setting] = text;
    }
  };

  set("url", "DATABASE_URL", url);
  for (const [field, value] of fieldsOf(overrides)) {
    const setting = SETTING_OF.get(field);
    if (setting !== undefined) set(field, setting, value);
    else problems.push({ setting: field, problem: "is not an option", allowed: undefined });
  }
  if (problems.length > 0) throw new ConfigError(problems);

  const readTextFile = (path: string) => files.get(path) ?? readTextFileOfDisk(path);
  try {
    return loadConfig({ env, readTextFile }).database;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(error.problems.map(inWordsOfFields));
  }
}

/** Every field that has a value, those of objects one by one. */
function* fieldsOf(overrides: DatabaseOverrides): Generator<readonly [string, unknown]> {
  const { hosts, readHosts, tls, migrator, ...others } = overrides;
  const fields: Record<string, unknown> = {
    ...others,
    "hosts": hosts?.map(({ host }) => host).join(","),
    "hosts.port": hosts?.map(({ port }) => port).join(",") || undefined,
    "readHosts": readHosts?.map(({ host, port }) => {
      return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    }).join(","),
  };
  for (const [name, inner] of Object.entries({ tls, migrator })) {
    for (const [field, value] of Object.entries(inner ?? {})) fields[`${name}.${field}`] = value;
  }
  for (const [field, value] of Object.entries(fields)) {
    if (value !== undefined) yield [field, value];
  }
}

function textOf(field: string, value: unknown): string {
  if (value instanceof Secret) return value.reveal();
  return String(isDuration(field) ? Number(value) / 1000 : value);
}

function isDuration(field: string): boolean {
  return field.endsWith("Ms");
}

/** What is wrong with the text of a setting, as half a sentence. */
function problemOf(setting: SettingName, text: string): string | undefined {
  if (text === "") return "is empty";
  const result = settingOf(setting).type.schema.safeParse(text);
  return result.success ? undefined : result.error.issues[0]?.message;
}

/** A problem of a setting as one of the field, which has milliseconds where settings have seconds. */
function inUnitOf(
  field: string,
  setting: SettingName,
  value: unknown,
  problem: string,
): Pick<ConfigProblem, "problem" | "allowed"> {
  const { type: { allowed, unit } } = settingOf(setting);
  const text = textOf(field, value);
  const isShown = !(value instanceof Secret) && !isConfidential(setting, text) && text !== "";
  const subject = isShown ? `${String(value)} ` : "";
  if (!isDuration(field)) {
    return { problem: subject + problem, allowed: unit ? `${allowed} ${unit}` : allowed };
  }
  const [zero = ""] = /^0 \(.*?\) or /.exec(allowed) ?? [];
  return {
    problem: subject + problem.replace("seconds", "milliseconds"),
    allowed: `${zero}a number of milliseconds of at least 1`,
  };
}

/** The loader's problem with the names of fields in place of settings. */
function inWordsOfFields({ setting, problem, allowed }: ConfigProblem): ConfigProblem {
  const reworded = (text: string) =>
    text.replaceAll(
      /\b(?:DATABASE_URL|DB_[A-Z_]+)/g,
      (name) => name === "DATABASE_URL" ? "url" : FIELD_OF.get(name) ?? name,
    );
  return {
    setting: reworded(setting),
    problem: reworded(problem),
    allowed: allowed === undefined ? undefined : reworded(allowed),
  };
}
