import assert from "node:assert/strict";
import { loadConfig } from "../../../src/config/mod.ts";
import { errorOf, problemsOf } from "./problems_of.ts";

Deno.test("an empty environment results in the defaults of the specification", () => {
  assert.deepEqual(loadConfig({ env: {} }), {
    database: {
      hosts: [{ host: "localhost", port: 5432 }],
      readHosts: [],
      database: "treasury_db",
      user: "treasury_user",
      password: undefined,
      passwordFile: undefined,
      schema: "public",
      tls: { mode: "disable", rootCert: undefined, cert: undefined, key: undefined },
      applicationName: "treasury-service",
      options: undefined,
      targetSessionAttrs: "prefer-read-write",
      pooler: "none",
      connectTimeoutMs: 5_000,
      keepAlives: true,
      keepAlivesIdleMs: 60_000,
      maxConnections: 25,
      serviceInstances: 1,
      maxIdleConnections: 5,
      minIdleConnections: 0,
      maxConnecting: 4,
      connectionMaxLifetimeMs: 3_600_000,
      connectionMaxIdleTimeMs: 900_000,
      acquireTimeoutMs: 5_000,
      acquireQueueLimit: 1_000,
      idleCheckAfterMs: 30_000,
      leakWarningAfterMs: 0,
      pingTimeoutMs: 5_000,
      circuitFailureThreshold: 5,
      retryInitialDelayMs: 200,
      retryMaxDelayMs: 750,
      authRetryDelayMs: 30_000,
      migrateOnStart: false,
      migrator: undefined,
    },
    roles: {
      owner: "treasury_db_owner",
      readWrite: "treasury_db_read_write",
      readOnly: "treasury_db_read_only",
    },
    server: {
      host: "0.0.0.0",
      port: 8080,
      tls: undefined,
      corsAllowedOrigins: [],
      maxRequestBytes: 65_536,
      maxHeaderBytes: 16_384,
      maxConcurrentStreams: 100,
      maxConcurrentCalls: 1_000,
      maxConnections: 10_000,
      headerTimeoutMs: 10_000,
      requestTimeoutMs: 30_000,
      idleTimeoutMs: 120_000,
      shutdownTimeoutMs: 25_000,
    },
    health: {
      checkIntervalMs: 30_000,
      grpcDependencies: [],
      grpcTimeoutMs: 5_000,
      watchHeartbeatMs: 30_000,
    },
    log: { level: "info", format: "json" },
    metrics: { address: undefined },
  });
});

Deno.test("an empty variable counts as unset", () => {
  assert.deepEqual(loadConfig({ env: { DB_PORT: "", DATABASE_URL: "" } }), loadConfig({ env: {} }));
});

Deno.test("every setting reaches its field", () => {
  const { database, server, health, log, metrics } = loadConfig({
    env: {
      DB_HOST: "db1, [2001:db8::1]",
      DB_PORT: "6432,6433",
      DB_READ_HOSTS: "db3,[2001:db8::3]:6434",
      DB_NAME: "ledger",
      DB_USER: "ann",
      DB_PASSWORD: "hunter2",
      DB_SCHEMA: "treasury",
      DB_SSL_MODE: "verify-full",
      DB_SSL_ROOT_CERT: "system",
      DB_CONNECT_TIMEOUT: "1.5",
      DB_APPLICATION_NAME: "app",
      DB_OPTIONS: "-c geqo=off",
      DB_TARGET_SESSION_ATTRS: "read-write",
      DB_KEEPALIVES: "off",
      DB_KEEPALIVES_IDLE: "0",
      DB_MAX_CONNECTIONS: "7",
      DB_SERVICE_INSTANCES: "12",
      DB_MAX_IDLE_CONNECTIONS: "3",
      DB_MIN_IDLE_CONNECTIONS: "2",
      DB_MAX_CONNECTING: "6",
      DB_CONNECTION_MAX_LIFETIME: "0",
      DB_CONNECTION_MAX_IDLE_TIME: "0.001",
      DB_ACQUIRE_TIMEOUT: "2",
      DB_ACQUIRE_QUEUE_LIMIT: "0",
      DB_IDLE_CHECK_AFTER: "0",
      DB_LEAK_WARNING_AFTER: "0.5",
      DB_CIRCUIT_FAILURE_THRESHOLD: "9",
      DB_RETRY_INITIAL_DELAY: "0.1",
      DB_RETRY_MAX_DELAY: "3",
      DB_AUTH_RETRY_DELAY: "60",
      DB_MIGRATE_ON_START: "yes",
      DB_MIGRATION_USER: "mike",
      DB_HEALTH_CHECK_INTERVAL: "11",
      DB_PING_TIMEOUT: "0.25",
      HEALTH_GRPC_DEPENDENCIES: "fx=https://fx.internal?critical=false",
      HEALTH_GRPC_TIMEOUT: "4",
      HEALTH_WATCH_HEARTBEAT: "6",
      SERVER_HOST: "::1",
      SERVER_PORT: "0",
      CORS_ALLOWED_ORIGINS: "*",
      SERVER_MAX_REQUEST_BYTES: "1",
      SERVER_MAX_HEADER_BYTES: "2048",
      SERVER_MAX_CONCURRENT_STREAMS: "3",
      SERVER_MAX_CONCURRENT_CALLS: "5",
      SERVER_MAX_CONNECTIONS: "4",
      SERVER_HEADER_TIMEOUT: "5",
      SERVER_REQUEST_TIMEOUT: "6",
      SERVER_IDLE_TIMEOUT: "7",
      SHUTDOWN_TIMEOUT: "0",
      LOG_LEVEL: "debug",
      LOG_FORMAT: "pretty",
      METRICS_ADDR: "[::1]:9464",
    },
  });

  const { password, ...rest } = database;
  assert.equal(password?.reveal(), "hunter2");
  assert.deepEqual(rest, {
    hosts: [{ host: "db1", port: 6432 }, { host: "2001:db8::1", port: 6433 }],
    readHosts: [{ host: "db3", port: 5432 }, { host: "2001:db8::3", port: 6434 }],
    database: "ledger",
    user: "ann",
    passwordFile: undefined,
    schema: "treasury",
    tls: { mode: "verify-full", rootCert: undefined, cert: undefined, key: undefined },
    applicationName: "app",
    options: "-c geqo=off",
    targetSessionAttrs: "read-write",
    pooler: "none",
    connectTimeoutMs: 1_500,
    keepAlives: false,
    keepAlivesIdleMs: 0,
    maxConnections: 7,
    serviceInstances: 12,
    maxIdleConnections: 3,
    minIdleConnections: 2,
    maxConnecting: 6,
    connectionMaxLifetimeMs: 0,
    connectionMaxIdleTimeMs: 1,
    acquireTimeoutMs: 2_000,
    acquireQueueLimit: 0,
    idleCheckAfterMs: 0,
    leakWarningAfterMs: 500,
    pingTimeoutMs: 250,
    circuitFailureThreshold: 9,
    retryInitialDelayMs: 100,
    retryMaxDelayMs: 3_000,
    authRetryDelayMs: 60_000,
    migrateOnStart: true,
    migrator: { user: "mike", password: undefined, passwordFile: undefined },
  });
  assert.deepEqual(server, {
    host: "::1",
    port: 0,
    tls: undefined,
    corsAllowedOrigins: ["*"],
    maxRequestBytes: 1,
    maxHeaderBytes: 2_048,
    maxConcurrentStreams: 3,
    maxConcurrentCalls: 5,
    maxConnections: 4,
    headerTimeoutMs: 5_000,
    requestTimeoutMs: 6_000,
    idleTimeoutMs: 7_000,
    shutdownTimeoutMs: 0,
  });
  assert.deepEqual(health, {
    checkIntervalMs: 11_000,
    grpcDependencies: [
      { name: "fx", url: "https://fx.internal", critical: false, service: "" },
    ],
    grpcTimeoutMs: 4_000,
    watchHeartbeatMs: 6_000,
  });
  assert.deepEqual(log, { level: "debug", format: "pretty" });
  assert.deepEqual(metrics, { address: { host: "::1", port: 9464 } });
});

Deno.test("all problems are reported at once, one a line", () => {
  const error = errorOf({
    env: {
      DB_PORT: "abc",
      DB_MAX_CONNECTIONS: "0",
      DB_SSL_MODE: "on",
      DB_PING_TIMEOUT: "5s",
      SERVER_PORT: "70000",
      LOG_LEVEL: "loud",
    },
  });
  assert.equal(
    error.message,
    `Configuration is invalid (6 problems):
  DB_PORT: "abc" is not a whole number; allowed: whole number from 1 to 65535, or one for each host separated by commas; default 5432
  DB_SSL_MODE: "on" is not one of the allowed words; allowed: disable, allow, prefer, require, verify-ca, verify-full; default disable
  DB_MAX_CONNECTIONS: "0" is too small; allowed: whole number from 1 to 10000 connections; default 25
  DB_PING_TIMEOUT: "5s" is not a number of seconds; allowed: decimal from 0.001 to 2147483 seconds; default 5
  SERVER_PORT: "70000" is too large; allowed: whole number from 0 to 65535; default 8080
  LOG_LEVEL: "loud" is not one of the allowed words; allowed: trace, debug, info, warn, error, fatal; default info`,
  );
  assert.deepEqual(error.problems.at(-1), {
    setting: "LOG_LEVEL",
    problem: '"loud" is not one of the allowed words',
    allowed: "trace, debug, info, warn, error, fatal; default info",
  });
});

Deno.test("one problem is not counted as several", () => {
  assert.match(errorOf({ env: { LOG_LEVEL: "loud" } }).message, /\(1 problem\)/);
});

for (
  const [title, env, setting, problem] of [
    [
      "more idle connections than connections",
      { DB_MAX_CONNECTIONS: "3", DB_MAX_IDLE_CONNECTIONS: "4" },
      "DB_MAX_IDLE_CONNECTIONS",
      "4 is greater than DB_MAX_CONNECTIONS, which is 3",
    ],
    [
      "more connections kept idle than may be",
      { DB_MAX_CONNECTIONS: "3", DB_MIN_IDLE_CONNECTIONS: "4" },
      "DB_MIN_IDLE_CONNECTIONS",
      "4 is greater than DB_MAX_IDLE_CONNECTIONS, which is 3",
    ],
    [
      "a first retry later than the latest",
      { DB_RETRY_INITIAL_DELAY: "2", DB_RETRY_MAX_DELAY: "1.5" },
      "DB_RETRY_INITIAL_DELAY",
      "is longer than DB_RETRY_MAX_DELAY, which is 1.5 seconds",
    ],
    [
      "other than one port or one for each host",
      { DB_HOST: "a,b,c", DB_PORT: "1,2" },
      "DB_PORT",
      "has 2 ports for 3 hosts; set one port, or one for each host",
    ],
    [
      "verification without trusted authorities",
      { DB_SSL_MODE: "verify-ca" },
      "DB_SSL_ROOT_CERT",
      "is not set, but DB_SSL_MODE verify-ca requires it (a file, or system)",
    ],
    [
      "public authorities without a check of the host name",
      { DB_SSL_MODE: "verify-ca", DB_SSL_ROOT_CERT: "system" },
      "DB_SSL_MODE",
      "must be verify-full when DB_SSL_ROOT_CERT is system",
    ],
  ] as const
) {
  Deno.test(`settings that contradict each other: ${title}`, () => {
    assert.deepEqual(problemsOf(env), [{ setting, problem, allowed: undefined }]);
  });
}

Deno.test("a broken setting is not compared with others", () => {
  const problems = problemsOf({ DB_MAX_CONNECTIONS: "many", DB_MAX_IDLE_CONNECTIONS: "26" });
  assert.deepEqual(problems.map(({ setting }) => setting), ["DB_MAX_CONNECTIONS"]);
});

Deno.test("a default gives way to a smaller limit", () => {
  const { database } = loadConfig({
    env: { DB_MAX_CONNECTIONS: "2", DB_RETRY_MAX_DELAY: "0.05" },
  });
  assert.equal(database.maxIdleConnections, 2);
  assert.equal(database.retryInitialDelayMs, 50);
});

Deno.test("the configuration is frozen all the way down", () => {
  const config = loadConfig({
    env: {
      DB_PASSWORD: "hunter2",
      HEALTH_GRPC_DEPENDENCIES: "a=http://a:1",
      CORS_ALLOWED_ORIGINS: "https://app.example.com",
    },
  });
  const seen: unknown[] = [];
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    assert(Object.isFrozen(value), `${Deno.inspect(value)} is not frozen`);
    seen.push(value);
    Object.values(value).forEach(visit);
  };
  visit(config);
  assert(seen.includes(config.database.hosts[0]));
  assert(seen.includes(config.health.grpcDependencies[0]));
  assert(seen.includes(config.database.password));
});
