import type { Secret } from "./secret.ts";

/** How TLS protects a connection; the names and meanings of libpq's `sslmode`. */
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

/** The pool mode of the connection pooler in front of the server, such as PgBouncer; `none` without one. */
export type PoolerMode = "none" | "session" | "transaction";

/** A server address. An IPv6 host has no brackets. */
export interface HostAddress {
  readonly host: string;
  readonly port: number;
}

/** TLS of the database connections. Certificates are PEM text, read and validated once at start. */
export interface DatabaseTlsConfig {
  readonly mode: SslMode;
  readonly rootCert: string | undefined;
  readonly cert: string | undefined;
  readonly key: Secret | undefined;
}

/** Settings of the database layer. Durations are in milliseconds. */
export interface DatabaseConfig {
  /** At least one; tried in order. */
  readonly hosts: readonly HostAddress[];
  /** Serve reads while the primary is unavailable; may be empty. */
  readonly readHosts: readonly HostAddress[];
  readonly database: string;
  readonly user: string;
  readonly password: Secret | undefined;
  /** Read again for every new connection, so that a rotated password needs no restart. */
  readonly passwordFile: string | undefined;
  /** First schema of the search path. */
  readonly schema: string;
  readonly tls: DatabaseTlsConfig;
  readonly applicationName: string;
  /** Command-line options for the server, as in libpq's `options`. */
  readonly options: string | undefined;
  readonly targetSessionAttrs: TargetSessionAttrs;
  readonly pooler: PoolerMode;
  readonly connectTimeoutMs: number;
  readonly keepAlives: boolean;
  readonly keepAlivesIdleMs: number;
  /** Maximum number of open connections. */
  readonly maxConnections: number;
  /** Maximum number of instances of this service that run at once, this one included. */
  readonly serviceInstances: number;
  /** Maximum number of idle connections. At most `maxConnections`. */
  readonly maxIdleConnections: number;
  /** Number of idle connections to keep open. At most `maxIdleConnections`. */
  readonly minIdleConnections: number;
  /** Maximum number of connections being opened at the same time. */
  readonly maxConnecting: number;
  /** 0 means unlimited. */
  readonly connectionMaxLifetimeMs: number;
  /** 0 means unlimited. */
  readonly connectionMaxIdleTimeMs: number;
  /** Maximum time to wait for a connection from the pool. */
  readonly acquireTimeoutMs: number;
  /** Maximum number of callers that wait for a connection in use. */
  readonly acquireQueueLimit: number;
  /** A connection that was idle for this long is tested before its next use. */
  readonly idleCheckAfterMs: number;
  /** 0 means off. */
  readonly leakWarningAfterMs: number;
  readonly pingTimeoutMs: number;
  /** Number of consecutive failed calls that open the circuit. */
  readonly circuitFailureThreshold: number;
  /** Upper bound of the first reconnect delay. It doubles with every failed attempt. */
  readonly retryInitialDelayMs: number;
  /** Upper bound of every reconnect delay. */
  readonly retryMaxDelayMs: number;
  /** Reconnect delay after an error that needs intervention, such as a rejected password. */
  readonly authRetryDelayMs: number;
  /** Whether to apply pending migrations on start. */
  readonly migrateOnStart: boolean;
  /** Login of migrations; undefined: that of the service. See {@linkcode asMigrator}. */
  readonly migrator: Login | undefined;
}

/** A login of the database. */
export type Login = Pick<DatabaseConfig, "user" | "password" | "passwordFile">;

/** The NOLOGIN roles that hold all privileges. Login roles are members of them. */
export interface RoleNames {
  /** Owns the database and all its objects. */
  readonly owner: string;
  /** Reads and writes rows. */
  readonly readWrite: string;
  /** Reads rows. */
  readonly readOnly: string;
}

/** The certificates of the listening port, as PEM text. */
export interface TlsMaterial {
  /** The certificate chain, leaf first. */
  readonly cert: string;
  readonly key: Secret;
  /** CA certificates for clients; undefined: clients need no certificate. */
  readonly clientCa?: string | undefined;
}

/** Paths of the files of a {@linkcode TlsMaterial}. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | undefined;
}

/**
 * Which clients need a certificate: all, or all except probes. An invalid certificate is rejected in
 * both cases.
 */
export type ClientAuth = "require" | "require-except-probes";

/** TLS of the listening port, as read at start. */
export interface ServerTlsConfig extends TlsMaterial {
  /** Applies only with `clientCa`. Default: `require`. */
  readonly clientAuth?: ClientAuth | undefined;
  /** Files to reload when they change; undefined: certificates are never reloaded. */
  readonly files?: TlsFiles | undefined;
}

/** The listening port and its limits. Durations are in milliseconds. */
export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  /** undefined: cleartext. */
  readonly tls: ServerTlsConfig | undefined;
  readonly corsAllowedOrigins: readonly string[];
  readonly maxRequestBytes: number;
  readonly maxHeaderBytes: number;
  readonly maxConcurrentStreams: number;
  /** In the whole process. Probes do not count. */
  readonly maxConcurrentCalls: number;
  readonly maxConnections: number;
  /** Maximum time for a client to send its first bytes and the headers of each request. */
  readonly headerTimeoutMs: number;
  /** Maximum time for a client to send a whole request. */
  readonly requestTimeoutMs: number;
  /** Time after which a connection without a request is closed. */
  readonly idleTimeoutMs: number;
  /** Maximum time for requests in progress to finish on shutdown. */
  readonly shutdownTimeoutMs: number;
}

/** A gRPC service that this service depends on. */
export interface GrpcDependencyConfig {
  readonly name: string;
  /** http: (cleartext HTTP/2) or https:, with host and port only. */
  readonly url: string;
  readonly critical: boolean;
  /** Service name for `grpc.health.v1`; empty means the whole server. */
  readonly service: string;
}

/** Settings of the health checks. Durations are in milliseconds. */
export interface HealthConfig {
  /** Time between background checks. */
  readonly checkIntervalMs: number;
  readonly grpcDependencies: readonly GrpcDependencyConfig[];
  /** Maximum time for a gRPC dependency to answer a check. */
  readonly grpcTimeoutMs: number;
  /** Interval at which WatchHealth repeats an unchanged health. */
  readonly watchHeartbeatMs: number;
}

/** Where metrics are served. */
export interface MetricsConfig {
  /** Separate address of the metrics; undefined: the main port. */
  readonly address: HostAddress | undefined;
}

/** Severity of a log record. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal";

/** What is logged, and in which format. */
export interface LogConfig {
  /** Minimum level of the records that are logged. */
  readonly level: LogLevel;
  /** `json`: one JSON object per line; `pretty`: human-readable. */
  readonly format: "json" | "pretty";
}

/** All validated settings, deeply frozen. Printing it shows no secret. */
export interface Config {
  readonly database: DatabaseConfig;
  readonly roles: RoleNames;
  readonly server: ServerConfig;
  readonly health: HealthConfig;
  readonly log: LogConfig;
  readonly metrics: MetricsConfig;
}
