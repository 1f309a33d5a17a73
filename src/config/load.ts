import { CertificateReader } from "./certificates.ts";
import type { Config, DatabaseConfig, DatabaseTlsConfig, HostAddress } from "./config.ts";
import { ConfigError, type ConfigProblem, type Report } from "./config_error.ts";
import type { ReadTextFile } from "./files.ts";
import { readPassword } from "./password.ts";
import { readPooler } from "./pooler.ts";
import type { Place } from "./places.ts";
import { type ReadSettings, readSettings } from "./read_settings.ts";
import { readServerTls } from "./server_tls.ts";
import { settings } from "./settings.ts";
import type { openSources } from "./sources.ts";
import { checkRenamed } from "./renamed_settings.ts";
import { readMigrator, roleNames } from "./roles.ts";
import { reportUnknownSettings } from "./unknown_settings.ts";

const DEFAULT_PORT = Number(settings.DB_PORT.default);

/**
 * Reads every setting from the places, at the levels of precedence that `open` makes of them.
 *
 * @param found Problems of the places themselves, to be reported with the others.
 * @throws {ConfigError} If there is any problem. It lists all of them.
 */
export function loadFrom(
  places: readonly Place[],
  readTextFile: ReadTextFile,
  open: typeof openSources,
  found: readonly ConfigProblem[],
): Config {
  const problems = [...found];
  const report: Report = (setting, problem, allowed) => {
    problems.push({ setting, problem, allowed });
  };

  for (const place of places) {
    reportUnknownSettings(place, report);
    checkRenamed(place, { warn: () => {}, report });
  }
  const sources = open(places, report);
  const read = readSettings(sources, report);
  const certificates = new CertificateReader(readTextFile, report);
  const { values } = read;

  const config: Config = {
    database: {
      ...readPassword(sources, readTextFile, report),
      hosts: pairHosts(read, report),
      readHosts: readHosts(read),
      database: values.DB_NAME,
      user: values.DB_USER,
      schema: values.DB_SCHEMA,
      tls: readDatabaseTls(read, certificates, report),
      applicationName: values.DB_APPLICATION_NAME,
      options: values.DB_OPTIONS,
      targetSessionAttrs: values.DB_TARGET_SESSION_ATTRS,
      pooler: readPooler(read, report),
      connectTimeoutMs: values.DB_CONNECT_TIMEOUT,
      keepAlives: values.DB_KEEPALIVES,
      keepAlivesIdleMs: values.DB_KEEPALIVES_IDLE,
      ...poolLimits(read, report),
      serviceInstances: values.DB_SERVICE_INSTANCES,
      maxConnecting: values.DB_MAX_CONNECTING,
      connectionMaxLifetimeMs: values.DB_CONNECTION_MAX_LIFETIME,
      connectionMaxIdleTimeMs: values.DB_CONNECTION_MAX_IDLE_TIME,
      acquireTimeoutMs: values.DB_ACQUIRE_TIMEOUT,
      acquireQueueLimit: values.DB_ACQUIRE_QUEUE_LIMIT,
      idleCheckAfterMs: values.DB_IDLE_CHECK_AFTER,
      leakWarningAfterMs: values.DB_LEAK_WARNING_AFTER,
      pingTimeoutMs: values.DB_PING_TIMEOUT,
      circuitFailureThreshold: values.DB_CIRCUIT_FAILURE_THRESHOLD,
      ...retryDelays(read, report),
      authRetryDelayMs: values.DB_AUTH_RETRY_DELAY,
      migrateOnStart: values.DB_MIGRATE_ON_START,
      migrator: readMigrator(read, sources, readTextFile, report),
    },
    roles: roleNames(read, report),
    server: {
      host: values.SERVER_HOST,
      port: values.SERVER_PORT,
      tls: readServerTls(read, certificates, report),
      corsAllowedOrigins: values.CORS_ALLOWED_ORIGINS ?? [],
      maxRequestBytes: values.SERVER_MAX_REQUEST_BYTES,
      maxHeaderBytes: values.SERVER_MAX_HEADER_BYTES,
      maxConcurrentStreams: values.SERVER_MAX_CONCURRENT_STREAMS,
      maxConcurrentCalls: values.SERVER_MAX_CONCURRENT_CALLS,
      maxConnections: values.SERVER_MAX_CONNECTIONS,
      headerTimeoutMs: values.SERVER_HEADER_TIMEOUT,
      requestTimeoutMs: values.SERVER_REQUEST_TIMEOUT,
      idleTimeoutMs: values.SERVER_IDLE_TIMEOUT,
      shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT,
    },
    health: {
      checkIntervalMs: values.DB_HEALTH_CHECK_INTERVAL,
      grpcDependencies: values.HEALTH_GRPC_DEPENDENCIES ?? [],
      grpcTimeoutMs: values.HEALTH_GRPC_TIMEOUT,
      watchHeartbeatMs: values.HEALTH_WATCH_HEARTBEAT,
    },
    log: { level: values.LOG_LEVEL, format: values.LOG_FORMAT },
    metrics: { address: values.METRICS_ADDR },
  };

  if (problems.length > 0) throw new ConfigError(problems);
  return deepFreeze(config);
}

/** Gives each host its port; one port serves all hosts, as in libpq. */
function pairHosts({ values, areSound }: ReadSettings, report: Report): HostAddress[] {
  const { DB_HOST: hosts, DB_PORT: ports } = values;
  const mismatch = ports.length !== 1 && ports.length !== hosts.length;
  if (mismatch && areSound("DB_HOST", "DB_PORT")) {
    report(
      "DB_PORT",
      `has ${ports.length} ports for ${hosts.length} hosts; set one port, or one for each host`,
    );
  }
  return hosts.map((host, index) => {
    return { host, port: (ports.length === 1 ? ports[0] : ports[index]) ?? DEFAULT_PORT };
  });
}

function readHosts({ values }: ReadSettings): HostAddress[] {
  return (values.DB_READ_HOSTS ?? []).map(({ host, port }) => {
    return { host, port: port ?? DEFAULT_PORT };
  });
}

function readDatabaseTls(
  { values, areSound }: ReadSettings,
  certificates: CertificateReader,
  report: Report,
): DatabaseTlsConfig {
  const { DB_SSL_MODE: mode, DB_SSL_ROOT_CERT: rootPath } = values;
  const system = rootPath === "system";
  if (areSound("DB_SSL_MODE")) {
    if (mode.startsWith("verify-") && rootPath === undefined) {
      report(
        "DB_SSL_ROOT_CERT",
        `is not set, but DB_SSL_MODE ${mode} requires it (a file, or system)`,
      );
    }
    // As libpq: without the host name, a certificate of any public CA would be accepted.
    if (system && mode !== "verify-full") {
      report("DB_SSL_MODE", "must be verify-full when DB_SSL_ROOT_CERT is system");
    }
  }
  const pair = certificates.readKeyPair(
    { setting: "DB_SSL_CERT", path: values.DB_SSL_CERT },
    { setting: "DB_SSL_KEY", path: values.DB_SSL_KEY },
  );
  const rootFile = { setting: "DB_SSL_ROOT_CERT", path: system ? undefined : rootPath } as const;
  const rootCert = certificates.readCertificates(rootFile);
  return { mode, rootCert, cert: pair?.cert, key: pair?.key };
}

function poolLimits(
  { values, isSet, areSound }: ReadSettings,
  report: Report,
): Pick<DatabaseConfig, "maxConnections" | "maxIdleConnections" | "minIdleConnections"> {
  const { DB_MAX_CONNECTIONS: max, DB_MIN_IDLE_CONNECTIONS: minIdle } = values;
  const maxIdle = isSet("DB_MAX_IDLE_CONNECTIONS")
    ? values.DB_MAX_IDLE_CONNECTIONS
    : Math.min(values.DB_MAX_IDLE_CONNECTIONS, max);
  if (maxIdle > max && areSound("DB_MAX_CONNECTIONS", "DB_MAX_IDLE_CONNECTIONS")) {
    const limit = `DB_MAX_CONNECTIONS, which is ${max}`;
    report("DB_MAX_IDLE_CONNECTIONS", `${maxIdle} is greater than ${limit}`);
  }
  if (minIdle > maxIdle && areSound("DB_MAX_IDLE_CONNECTIONS", "DB_MIN_IDLE_CONNECTIONS")) {
    const limit = `DB_MAX_IDLE_CONNECTIONS, which is ${maxIdle}`;
    report("DB_MIN_IDLE_CONNECTIONS", `${minIdle} is greater than ${limit}`);
  }
  return { maxConnections: max, maxIdleConnections: maxIdle, minIdleConnections: minIdle };
}

function retryDelays(
  { values, isSet, areSound }: ReadSettings,
  report: Report,
): Pick<DatabaseConfig, "retryInitialDelayMs" | "retryMaxDelayMs"> {
  const initial = values.DB_RETRY_INITIAL_DELAY;
  const max = values.DB_RETRY_MAX_DELAY;
  if (!isSet("DB_RETRY_INITIAL_DELAY")) {
    return { retryInitialDelayMs: Math.min(initial, max), retryMaxDelayMs: max };
  }
  if (initial > max && areSound("DB_RETRY_INITIAL_DELAY", "DB_RETRY_MAX_DELAY")) {
    const seconds = `${max / 1000} seconds`;
    report("DB_RETRY_INITIAL_DELAY", `is longer than DB_RETRY_MAX_DELAY, which is ${seconds}`);
  }
  return { retryInitialDelayMs: initial, retryMaxDelayMs: max };
}

function deepFreeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) Object.values(value).forEach(deepFreeze);
  return Object.freeze(value);
}
