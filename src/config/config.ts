import type { Secret } from "./secret.ts";

// Defaults are in the catalog of settings, from which docs/configuration.md is generated. Each field
// names the setting that it comes from.

/** TLS mode of a connection, as `sslmode` in libpq. */
export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";

/**
 * The type of server that a connection accepts: libpq's `target_session_attrs`, and
 * `prefer-read-write`, which accepts a read-only server if no other can be reached.
 */
export type TargetSessionAttrs =
  | "any"
  | "prefer-read-write"
  | "read-write"
  | "read-only"
  | "primary"
  | "standby"
  | "prefer-standby";

/** Pool mode of the connection pooler in front of the server, such as PgBouncer; `none` without one. */
export type PoolerMode = "none" | "session" | "transaction";

/** A server address. */
export interface HostAddress {
  /** Host name or IP address; IPv6 without brackets. */
  readonly host: string;
  /** TCP port. */
  readonly port: number;
}

/** TLS of the database connections. Files are read and validated once, at start. */
export interface DatabaseTlsConfig {
  /** `DB_SSL_MODE`. */
  readonly mode: SslMode;
  /** CA certificates to trust, as PEM; undefined: those of the runtime (`DB_SSL_ROOT_CERT`). */
  readonly rootCert: string | undefined;
  /** Client certificate, as PEM (`DB_SSL_CERT`). */
  readonly cert: string | undefined;
  /** Private key of the client certificate, as PEM (`DB_SSL_KEY`). */
  readonly key: Secret | undefined;
}

/** Settings of the database layer. Durations are in milliseconds. */
export interface DatabaseConfig {
  /** At least one; tried in order (`DB_HOST`, `DB_PORT`). */
  readonly hosts: readonly HostAddress[];
  /** Standbys that serve reads while the primary is unavailable; may be empty (`DB_READ_HOSTS`). */
  readonly readHosts: readonly HostAddress[];
  /** Name of the database (`DB_NAME`). */
  readonly database: string;
  /** Role to connect as (`DB_USER`). */
  readonly user: string;
  /** Password of the role (`DB_PASSWORD`, or the content of `DB_PASSWORD_FILE` at start). */
  readonly password: Secret | undefined;
  /** Read again for every new connection, so that a rotated password needs no restart. */
  readonly passwordFile: string | undefined;
  /** First schema of the search path (`DB_SCHEMA`). */
  readonly schema: string;
  /** `DB_SSL_*`. */
  readonly tls: DatabaseTlsConfig;
  /** `application_name` of the sessions (`DB_APPLICATION_NAME`). */
  readonly applicationName: string;
  /** Command-line options for the server session, as `options` in libpq (`DB_OPTIONS`). */
  readonly options: string | undefined;
  /** `DB_TARGET_SESSION_ATTRS`. */
  readonly targetSessionAttrs: TargetSessionAttrs;
  /** `DB_POOLER`. */
  readonly pooler: PoolerMode;
  /** Maximum time to open a connection, for all hosts together (`DB_CONNECT_TIMEOUT`). */
  readonly connectTimeoutMs: number;
  /** Whether to send TCP keepalives (`DB_KEEPALIVES`). */
  readonly keepAlives: boolean;
  /** Idle time before the first TCP keepalive; 0: the system's default (`DB_KEEPALIVES_IDLE`). */
  readonly keepAlivesIdleMs: number;
  /** Maximum number of open connections (`DB_MAX_CONNECTIONS`). */
  readonly maxConnections: number;
  /**
   * Maximum number of instances of this service that run at once, this one included
   * (`DB_SERVICE_INSTANCES`).
   */
  readonly serviceInstances: number;
  /** Maximum number of idle connections; at most `maxConnections` (`DB_MAX_IDLE_CONNECTIONS`). */
  readonly maxIdleConnections: number;
  /**
   * Number of idle connections to keep open; at most `maxIdleConnections`
   * (`DB_MIN_IDLE_CONNECTIONS`).
   */
  readonly minIdleConnections: number;
  /** Maximum number of connections being opened at the same time (`DB_MAX_CONNECTING`). */
  readonly maxConnecting: number;
  /** Maximum age of a connection; 0: unlimited (`DB_CONNECTION_MAX_LIFETIME`). */
  readonly connectionMaxLifetimeMs: number;
  /** Maximum time a connection stays idle; 0: unlimited (`DB_CONNECTION_MAX_IDLE_TIME`). */
  readonly connectionMaxIdleTimeMs: number;
  /** Maximum time to wait for a connection from the pool (`DB_ACQUIRE_TIMEOUT`). */
  readonly acquireTimeoutMs: number;
  /** Maximum number of callers that wait for a connection in use (`DB_ACQUIRE_QUEUE_LIMIT`). */
  readonly acquireQueueLimit: number;
  /** A connection that was idle for this long is tested before its next use (`DB_IDLE_CHECK_AFTER`). */
  readonly idleCheckAfterMs: number;
  /** Time in use after which a connection is logged as leaked; 0: off (`DB_LEAK_WARNING_AFTER`). */
  readonly leakWarningAfterMs: number;
  /** Maximum time for the database to answer a health check (`DB_PING_TIMEOUT`). */
  readonly pingTimeoutMs: number;
  /** Consecutive failed calls that open the circuit (`DB_CIRCUIT_FAILURE_THRESHOLD`). */
  readonly circuitFailureThreshold: number;
  /**
   * Upper bound of the first reconnect delay; it doubles with every failed attempt
   * (`DB_RETRY_INITIAL_DELAY`).
   */
  readonly retryInitialDelayMs: number;
  /** Upper bound of every reconnect delay (`DB_RETRY_MAX_DELAY`). */
  readonly retryMaxDelayMs: number;
  /** Reconnect delay after an error that needs intervention (`DB_AUTH_RETRY_DELAY`). */
  readonly authRetryDelayMs: number;
  /** Whether to apply pending migrations on start (`DB_MIGRATE_ON_START`). */
  readonly migrateOnStart: boolean;
  /** Login of migrations; undefined: that of the service. See {@linkcode asMigrator}. */
  readonly migrator: Login | undefined;
}

/** A login of the database. */
export type Login = Pick<DatabaseConfig, "user" | "password" | "passwordFile">;

/** The NOLOGIN roles that hold all privileges. Login roles are members of them. */
export interface RoleNames {
  /** Owns the database and all its objects (`DB_OWNER_ROLE`). */
  readonly owner: string;
  /** Reads and writes rows (`DB_READ_WRITE_ROLE`). */
  readonly readWrite: string;
  /** Reads rows (`DB_READ_ONLY_ROLE`). */
  readonly readOnly: string;
}

/** The certificates of the listening port, as PEM. */
export interface TlsMaterial {
  /** The certificate chain, leaf first. */
  readonly cert: string;
  /** Private key of the leaf certificate. */
  readonly key: Secret;
  /** CA certificates for clients; undefined: clients need no certificate. */
  readonly clientCa?: string | undefined;
}

/** Paths of the files of a {@linkcode TlsMaterial}. */
export interface TlsFiles {
  /** `TLS_CERT_FILE`. */
  readonly cert: string;
  /** `TLS_KEY_FILE`. */
  readonly key: string;
  /** `TLS_CLIENT_CA_FILE`. */
  readonly clientCa: string | undefined;
}

/**
 * Which clients need a certificate: all, or all except probes. An invalid certificate is rejected in
 * both cases.
 */
export type ClientAuth = "require" | "require-except-probes";

/** TLS of the listening port, as read at start. */
export interface ServerTlsConfig extends TlsMaterial {
  /** Applies only with `clientCa` (`TLS_CLIENT_AUTH`). Default: `require`. */
  readonly clientAuth?: ClientAuth | undefined;
  /** Files to reload when they change; undefined: certificates are never reloaded. */
  readonly files?: TlsFiles | undefined;
}

/** The listening port and its limits. Durations are in milliseconds. */
export interface ServerConfig {
  /** Address to listen on (`SERVER_HOST`). */
  readonly host: string;
  /** Port to listen on; 0: any free port (`SERVER_PORT`). */
  readonly port: number;
  /** undefined: cleartext. */
  readonly tls: ServerTlsConfig | undefined;
  /** Origins of web pages that may call the service (`CORS_ALLOWED_ORIGINS`). */
  readonly corsAllowedOrigins: readonly string[];
  /** Maximum size of a request message, in bytes (`SERVER_MAX_REQUEST_BYTES`). */
  readonly maxRequestBytes: number;
  /** Maximum total size of the request headers, in bytes (`SERVER_MAX_HEADER_BYTES`). */
  readonly maxHeaderBytes: number;
  /** Per HTTP/2 connection (`SERVER_MAX_CONCURRENT_STREAMS`). */
  readonly maxConcurrentStreams: number;
  /** In the whole process, without probes (`SERVER_MAX_CONCURRENT_CALLS`). */
  readonly maxConcurrentCalls: number;
  /** Maximum number of client connections (`SERVER_MAX_CONNECTIONS`). */
  readonly maxConnections: number;
  /** Maximum time for a client to send its first bytes and the headers of each request. */
  readonly headerTimeoutMs: number;
  /** Maximum time for a client to send a whole request (`SERVER_REQUEST_TIMEOUT`). */
  readonly requestTimeoutMs: number;
  /** Time after which a connection without a request is closed (`SERVER_IDLE_TIMEOUT`). */
  readonly idleTimeoutMs: number;
  /** Maximum time for requests in progress to finish on shutdown (`SHUTDOWN_TIMEOUT`). */
  readonly shutdownTimeoutMs: number;
}

/** A gRPC service that this service depends on (`HEALTH_GRPC_DEPENDENCIES`). */
export interface GrpcDependencyConfig {
  /** Unique name of the dependency, such as `ledger-service`. */
  readonly name: string;
  /** http: (cleartext HTTP/2) or https:, with host and port only. */
  readonly url: string;
  /** Whether this service is UNHEALTHY without it. */
  readonly critical: boolean;
  /** Service name for `grpc.health.v1`; empty: the whole server. */
  readonly service: string;
}

/** Settings of the health checks. Durations are in milliseconds. */
export interface HealthConfig {
  /** Time between background checks (`DB_HEALTH_CHECK_INTERVAL`). */
  readonly checkIntervalMs: number;
  /** Dependencies besides the database. */
  readonly grpcDependencies: readonly GrpcDependencyConfig[];
  /** Maximum time for a gRPC dependency to answer a check (`HEALTH_GRPC_TIMEOUT`). */
  readonly grpcTimeoutMs: number;
  /** Interval at which WatchHealth repeats an unchanged health (`HEALTH_WATCH_HEARTBEAT`). */
  readonly watchHeartbeatMs: number;
}

/** Where metrics are served. */
export interface MetricsConfig {
  /** Separate address of the metrics; undefined: the main port (`METRICS_ADDR`). */
  readonly address: HostAddress | undefined;
}

/** Severity of a log record. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal";

/** What is logged, and in which format. */
export interface LogConfig {
  /** Minimum level of the records that are logged (`LOG_LEVEL`). */
  readonly level: LogLevel;
  /** `json`: one JSON object per line; `pretty`: human-readable (`LOG_FORMAT`). */
  readonly format: "json" | "pretty";
}

/** All validated settings, deeply frozen. Printing it shows no secret. */
export interface Config {
  /** The database and its connection pool. */
  readonly database: DatabaseConfig;
  /** The group roles of the database. */
  readonly roles: RoleNames;
  /** The listening port. */
  readonly server: ServerConfig;
  /** The health checks. */
  readonly health: HealthConfig;
  /** The log. */
  readonly log: LogConfig;
  /** The metrics. */
  readonly metrics: MetricsConfig;
}
