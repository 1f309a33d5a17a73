import type { Secret } from "./secret.ts";

/** How TLS protects a connection; the names and meanings of libpq's `sslmode`. */
export type SslMode = "disable" | "allow" | "prefer" | "require" | "verify-ca" | "verify-full";

/**
 * Which kind of server a connection accepts; libpq's `target_session_attrs`, and one more:
 * `prefer-read-write` takes one that does not write when no other can be reached.
 */
export type TargetSessionAttrs =
  | "any"
  | "prefer-read-write"
  | "read-write"
  | "read-only"
  | "primary"
  | "standby"
  | "prefer-standby";

/** What stands between this service and the server: nothing, or a pooler such as PgBouncer, by its mode. */
export type PoolerMode = "none" | "session" | "transaction";

/** One server address. An IPv6 host is held without brackets. */
export interface HostAddress {
  readonly host: string;
  readonly port: number;
}

/** TLS material is held as PEM text, read and checked once at start. */
export interface DatabaseTlsConfig {
  readonly mode: SslMode;
  readonly rootCert: string | undefined;
  readonly cert: string | undefined;
  readonly key: Secret | undefined;
}

/** Everything that the database layer needs. Durations are in milliseconds. */
export interface DatabaseConfig {
  /** At least one; tried in order. */
  readonly hosts: readonly HostAddress[];
  /** For reads while the primary is away; may be none. */
  readonly readHosts: readonly HostAddress[];
  readonly database: string;
  readonly user: string;
  readonly password: Secret | undefined;
  /** Re-read on every connect, so that a rotated password needs no restart. */
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
  readonly maxConnections: number;
  /** Instances of this service that share the server, this one included. */
  readonly replicas: number;
  readonly maxIdleConnections: number;
  /** At most `maxIdleConnections`. */
  readonly minIdleConnections: number;
  /** Most connections that are opened at the same time. */
  readonly maxConnecting: number;
  /** 0 means unlimited. */
  readonly connectionMaxLifetimeMs: number;
  /** 0 means unlimited. */
  readonly connectionMaxIdleTimeMs: number;
  readonly acquireTimeoutMs: number;
  /** Most callers that wait for a connection that others use. */
  readonly acquireQueueLimit: number;
  /** A connection that was idle for this long is checked before its next use. */
  readonly idleCheckAfterMs: number;
  /** 0 means off. */
  readonly leakWarningAfterMs: number;
  readonly pingTimeoutMs: number;
  /** Failed calls in a row that open the circuit. */
  readonly circuitFailureThreshold: number;
  /** Upper limit of the first open time of the circuit; it doubles with every failed probe. */
  readonly retryInitialDelayMs: number;
  /** The upper limit never grows beyond this. */
  readonly retryMaxDelayMs: number;
  /** After a failure that cannot pass by itself, such as a rejected password. */
  readonly authRetryDelayMs: number;
  /** Apply migrations on start. */
  readonly migrateOnStart: boolean;
  /** Who migrates; undefined: the service itself. See {@linkcode asMigrator}. */
  readonly migrator: Login | undefined;
}

/** Who connects to the database. */
export type Login = Pick<DatabaseConfig, "user" | "password" | "passwordFile">;

/** The roles without login that everyone's privileges come from. */
export interface RoleNames {
  /** Owns the database and all that is in it. */
  readonly owner: string;
  /** Reads and writes rows. */
  readonly readWrite: string;
  /** Reads rows. */
  readonly readOnly: string;
}

/** What the listening port shows and trusts, as PEM text. */
export interface TlsMaterial {
  /** This server's certificate first, then those that lead to its authority. */
  readonly cert: string;
  readonly key: Secret;
  /** Authorities of clients; undefined: clients are asked for nothing. */
  readonly clientCa?: string | undefined;
}

/** Where a {@linkcode TlsMaterial} is read from. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
  readonly clientCa: string | undefined;
}

/**
 * Who must have a certificate of a client: everybody, or everybody but probes. One that is shown and
 * is not valid is refused in both cases.
 */
export type ClientAuth = "require" | "require-except-probes";

/** TLS of the listening port, as it was at start. */
export interface ServerTlsConfig extends TlsMaterial {
  /** Means something only with `clientCa`. Default: `require`. */
  readonly clientAuth?: ClientAuth | undefined;
  /** To be read again while the service runs; undefined: nothing ever changes. */
  readonly files?: TlsFiles | undefined;
}

/** The one listening port and its limits. Durations are in milliseconds. */
export interface ServerConfig {
  readonly host: string;
  readonly port: number;
  /** undefined: the port speaks cleartext. */
  readonly tls: ServerTlsConfig | undefined;
  readonly corsAllowedOrigins: readonly string[];
  readonly maxRequestBytes: number;
  readonly maxHeaderBytes: number;
  readonly maxConcurrentStreams: number;
  /** In the whole process; those of probes come on top. */
  readonly maxConcurrentCalls: number;
  readonly maxConnections: number;
  /** Time for a client to send its first bytes and each request's headers. */
  readonly headerTimeoutMs: number;
  /** Time for a client to send a whole request. */
  readonly requestTimeoutMs: number;
  /** Time that a connection without a request stays open. */
  readonly idleTimeoutMs: number;
  /** Time for requests in flight to finish on shutdown. */
  readonly shutdownTimeoutMs: number;
}

/** A gRPC service that this service depends on. */
export interface GrpcDependencyConfig {
  readonly name: string;
  /** http: (cleartext HTTP/2) or https:, with host and port only. */
  readonly url: string;
  readonly critical: boolean;
  /** Service name to ask grpc.health.v1 for; empty means the whole server. */
  readonly service: string;
}

export interface HealthConfig {
  readonly checkIntervalMs: number;
  readonly grpcDependencies: readonly GrpcDependencyConfig[];
  readonly grpcTimeoutMs: number;
  readonly watchHeartbeatMs: number;
}

export interface MetricsConfig {
  /** Where metrics are served alone; undefined: with everything else. */
  readonly address: HostAddress | undefined;
}

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal";

export interface LogConfig {
  readonly level: LogLevel;
  /** `json`: one object a line; `pretty`: for people. */
  readonly format: "json" | "pretty";
}

/** The validated, deeply frozen settings of one run. Printing it shows no secret. */
export interface Config {
  readonly database: DatabaseConfig;
  readonly roles: RoleNames;
  readonly server: ServerConfig;
  readonly health: HealthConfig;
  readonly log: LogConfig;
  readonly metrics: MetricsConfig;
}
