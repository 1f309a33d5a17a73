import assert from "node:assert/strict";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import type { JsonObject } from "@bufbuild/protobuf";
import { toJson } from "@bufbuild/protobuf";
import { HealthCheckResponse_ServingStatus as ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import {
  AccessMode,
  type DependencyHealth,
  GetHealthResponseSchema,
  Health,
  ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
import type { DatabaseConfig } from "../../src/config/config.ts";
import {
  DatabaseError,
  DatabaseManager,
  type DatabaseManagerOptions,
} from "../../src/database/mod.ts";
import {
  createHealthService,
  GrpcChecker,
  HealthRegistry,
  PostgreSQLChecker,
} from "../../src/health/mod.ts";
import { eventually } from "../support/condition.ts";
import { assertHealthContract } from "../support/health_contract.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { healthRoutes, startHttp2Peer } from "../support/health_peers.ts";

const { HEALTHY, DEGRADED, UNHEALTHY } = ServiceStatus;

/** Counts its pings. */
class CountingManager extends DatabaseManager {
  pings = 0;

  override ping(options?: Parameters<DatabaseManager["ping"]>[0]) {
    this.pings++;
    return super.ping(options);
  }
}

/** The database layer and the health layer, as the service wires them. */
class Service implements AsyncDisposable {
  readonly database: CountingManager;
  readonly checker: PostgreSQLChecker;
  readonly registry: HealthRegistry;
  readonly health: Client<typeof Health>;
  readonly #shutdown = new AbortController();

  constructor(config: DatabaseConfig, options?: DatabaseManagerOptions, ledger?: GrpcChecker) {
    this.database = new CountingManager(config, options);
    this.checker = new PostgreSQLChecker({ database: this.database });
    this.registry = new HealthRegistry({
      checkers: ledger === undefined ? [this.checker] : [this.checker, ledger],
      // So rare that only the database's own changes can lead to a check in time.
      checkIntervalMs: 3_600_000,
    });
    const implementation = createHealthService({
      registry: this.registry,
      version: "1.2.3",
      startedAt: new Date(),
      heartbeatMs: 3_600_000,
      shutdownSignal: this.#shutdown.signal,
    });
    const transport = createRouterTransport(({ service }) => service(Health, implementation));
    this.health = createClient(Health, transport);
    this.database.start();
    this.registry.start();
  }

  async connected(): Promise<void> {
    await eventually(() => this.registry.latest()?.status === HEALTHY, { what: "it is HEALTHY" });
  }

  async check(): Promise<DependencyHealth> {
    const { dependencies } = await this.registry.check({ dependency: "postgresql-primary" });
    return dependencies[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#shutdown.abort();
    await this.registry.close();
    await this.database.close();
  }
}

function assertFailed(health: DependencyHealth, errorCode: string, server: TestPostgres): void {
  assert.equal(health.errorCode, errorCode);
  assert.equal(health.status, UNHEALTHY);
  assert.equal(health.message, "Database connection failed");
  assert.equal(health.accessMode, AccessMode.UNAVAILABLE);
  assert.equal(health.config!.poolInfo!.maxConnections, 25);
  assert(!JSON.stringify(health).includes(server.database.password), "no credentials");
}

Deno.test("health of a real database keeps the specification's contract", async () => {
  await using server = await startPostgres();
  await using peer = await startHttp2Peer(healthRoutes(() => ServingStatus.SERVING));
  await using ledger = new GrpcChecker({
    dependency: {
      name: "ledger-service",
      url: `http://localhost:${peer.port}`,
      critical: true,
      service: "",
    },
    timeoutMs: 30_000,
  });
  await using service = new Service(server.config(), {}, ledger);
  await service.connected();

  const response = await service.health.getHealth({});
  const json = toJson(GetHealthResponseSchema, response, {
    alwaysEmitImplicit: true,
    useProtoFieldName: true,
  }) as JsonObject;
  assertHealthContract(json);
  assert.equal(json.status, "HEALTHY");
  assert.equal(json.message, "Service is fully operational");
  const [database, grpc] = json.dependencies;
  assert.equal(database!.name, "postgresql-primary");
  assert.equal(database!.is_critical, true);
  assert.equal(database!.message, "Database connection healthy");
  assert.equal(database!.config.port, server.database.port);
  assert.equal(database!.config.protocol, "postgresql");
  assert.equal(database!.config.database_name, "treasury_db");
  assert.equal(database!.config.schema_name, "public");
  assert.equal(database!.config.pool_info!.max_connections, 25);
  // Another check may be using the only connection at that moment.
  const { idle_connections, active_connections } = database!.config.pool_info!;
  assert(idle_connections + active_connections >= 1);
  assert.equal(grpc!.message, "Ledger service is healthy");
});

Deno.test("a thousand concurrent GetHealth calls cost the database one ping", async () => {
  await using server = await startPostgres();
  await using service = new Service(server.config());
  await service.connected();
  // The changes that led to connected may still be checked.
  await eventually(async () => {
    const before = service.database.pings;
    await Promise.all(Array.from({ length: 1000 }, () => service.health.getHealth({})));
    return service.database.pings - before === 1;
  }, { what: "a thousand calls cost one ping" });
});

Deno.test("WatchHealth tells of an outage and of its end", async () => {
  await using server = await startPostgres();
  await using service = new Service(server.config());
  await service.connected();
  const leave = new AbortController();
  const stream = service.health.watchHealth({}, { signal: leave.signal })[Symbol.asyncIterator]();
  const until = async (status: ServiceStatus) => {
    while (true) {
      const { value } = await stream.next();
      if (value.health?.status === status) return;
    }
  };
  await until(HEALTHY);
  for (const mode of ["fast", "immediate"] as const) {
    await server.stop(mode);
    await until(UNHEALTHY);
    assert.equal(service.registry.readiness.ready, false);
    await server.start();
    await until(HEALTHY);
    assert.equal(service.registry.readiness.ready, true);
  }
  leave.abort();
  await stream.return?.();
});

Deno.test("a stopped database is UNHEALTHY", async () => {
  await using server = await startPostgres();
  await using service = new Service(server.config());
  await service.connected();
  await server.stop();
  await eventually(async () => {
    assertFailed(await service.check(), "CONNECTION_REFUSED", server);
    return true;
  });
});

Deno.test("a frozen database is UNHEALTHY within the ping timeout", async () => {
  await using server = await startPostgres();
  await using service = new Service(server.config({ pingTimeoutMs: 300, connectTimeoutMs: 300 }));
  await service.connected();
  await server.freeze();
  // The changes that led to connected may still be checked, with an answer from before the freeze.
  const health = await eventually(async () => {
    const health = await service.check();
    return health.status === HEALTHY ? undefined : health;
  }, { what: "the freeze is noticed" });
  // Not the registry's CHECK_TIMEOUT: the limit of the ping, or of the look after it, came first.
  const isLook = health.errorCode === "CONNECT_TIMEOUT";
  assertFailed(health, isLook ? "CONNECT_TIMEOUT" : "PING_TIMEOUT", server);
  await server.resume();
  await service.connected();
});

Deno.test("a wrong password is UNHEALTHY, and is not disclosed", async () => {
  await using server = await startPostgres();
  const { password, ...database } = server.config();
  assert(password !== undefined);
  await server.admin("alter role treasury_user password 'another'");
  await using service = new Service({ ...database, password });
  assertFailed(await service.check(), "AUTHENTICATION_FAILED", server);
});

Deno.test("a read-only database is DEGRADED: it serves, and says that writes are refused", async () => {
  await using server = await startPostgres();
  await server.admin("alter database treasury_db set default_transaction_read_only = on");
  await using service = new Service(server.config());
  const health = await service.check();
  assert.equal(health.status, DEGRADED);
  assert.equal(health.accessMode, AccessMode.READ_ONLY);
  assert.equal(health.errorCode, "READ_ONLY");
  assert.equal(health.message, "Database is read-only: writes are rejected");
  assert.equal(service.registry.readiness.ready, true);
});

Deno.test("an exhausted pool is DEGRADED, and its numbers say so", async () => {
  await using server = await startPostgres();
  await using service = new Service(server.config({ maxConnections: 1, pingTimeoutMs: 2_000 }));
  await service.connected();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const held = service.database.withConnection(() => released);
  const health = await service.check();
  release();
  await held;
  assert.equal(health.status, DEGRADED);
  assert.equal(health.errorCode, "ACQUIRE_TIMEOUT");
  assert.equal(health.message, "Database connection pool exhausted");
  const pool = health.config!.poolInfo!;
  assert.equal(pool.activeConnections, 1);
  assert.equal(pool.utilization, 1);
  assert(pool.waitCount >= 1);
  assert.equal((await service.check()).status, HEALTHY, "as soon as a connection is free");
});

Deno.test("a database whose migrations have not run is not ready for use", async () => {
  await using server = await startPostgres();
  const { promise: prepared, resolve: migrate } = Promise.withResolvers<void>();
  await using service = new Service(server.config(), { ensureSchema: () => prepared });
  const health = await service.check();
  assert.equal(health.status, UNHEALTHY);
  assert.equal(health.errorCode, "NOT_PREPARED");
  assert.equal(health.message, "Database schema is not ready");
  migrate();
  await service.connected();
});

Deno.test("a failed migration says so, although the database answers", async () => {
  await using server = await startPostgres();
  const ensureSchema = () => Promise.reject(new DatabaseError("MIGRATION_FAILED"));
  await using service = new Service(server.config(), { ensureSchema });
  await eventually(async () => {
    const health = await service.check();
    return health.status === UNHEALTHY && health.errorCode === "MIGRATION_FAILED" &&
      health.message === "Database schema is not ready";
  }, { what: "the migration has failed" });
  assert.equal(service.registry.readiness.ready, false);
});
