import assert from "node:assert/strict";
import { AccessMode, CircuitState, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { DatabaseManager } from "../../src/database/mod.ts";
import { HealthRegistry, PostgreSQLChecker } from "../../src/health/mod.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres } from "../support/postgres.ts";
import { startReplicationPair } from "../support/replication.ts";

const { HEALTHY, DEGRADED, UNHEALTHY } = ServiceStatus;

/** The health of a database, checked at once on every change and practically never else. */
class Health implements AsyncDisposable {
  readonly database: DatabaseManager;
  readonly #registry: HealthRegistry;

  constructor(database: DatabaseManager) {
    this.database = database;
    this.#registry = new HealthRegistry({
      checkers: [new PostgreSQLChecker({ database })],
      checkIntervalMs: 3_600_000,
    });
    database.start();
    this.#registry.start();
  }

  /** Waits for a status, which only a change of the database can bring, and says what it says. */
  async until(status: ServiceStatus) {
    return await eventually(() => {
      const health = this.#registry.latest()?.dependencies[0];
      return health?.status === status ? health : undefined;
    }, { what: `the database is ${ServiceStatus[status]}` });
  }

  async check() {
    return (await this.#registry.check()).dependencies[0]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#registry.close();
    await this.database.close({ timeoutMs: 0 });
  }
}

Deno.test("health shows the circuit, and while it is open the outage and not the circuit", async () => {
  await using server = await startPostgres();
  await using health = new Health(
    new DatabaseManager(
      server.config({ retryInitialDelayMs: 3_600_000, retryMaxDelayMs: 3_600_000 }),
      { random: () => 0.999 },
    ),
  );
  assert.equal((await health.until(HEALTHY)).circuitState, CircuitState.CLOSED);
  await server.stop();
  const { circuitState, errorCode, error, accessMode } = await health.until(UNHEALTHY);
  assert.equal(circuitState, CircuitState.OPEN);
  const outage = health.database.outage!;
  assert.ok(outage.isOutage && outage.code !== "CIRCUIT_OPEN");
  assert.deepEqual([errorCode, error], [outage.code, outage.publicMessage]);
  assert.equal(accessMode, AccessMode.UNAVAILABLE);

  // A check does not go round the circuit.
  await server.start();
  assert.equal((await health.check()).status, UNHEALTHY);
  assert.equal(await server.sessions(), 0);
  health.database.circuit.reset();
  assert.equal((await health.until(HEALTHY)).circuitState, CircuitState.CLOSED);
});

Deno.test("an operator's stop is UNHEALTHY, with a code that says so", async () => {
  await using server = await startPostgres();
  await using health = new Health(new DatabaseManager(server.config()));
  await health.until(HEALTHY);
  health.database.circuit.forceOpen("maintenance by ann@example.com");
  const report = await health.until(UNHEALTHY);
  assert.equal(report.errorCode, "STOPPED_BY_OPERATOR");
  assert.match(report.message, /stopped by an operator/);
  assert.ok(!JSON.stringify(report).includes("ann@"), "the operator's words are for the log");
});

Deno.test("reads on a standby are DEGRADED, and say why; a promotion is HEALTHY", async () => {
  await using pair = await startReplicationPair();
  const { host, port } = pair.standby.database;
  await using health = new Health(
    new DatabaseManager(pair.primary.config({
      hosts: pair.hosts,
      targetSessionAttrs: "read-write",
      readHosts: [{ host, port }],
    })),
  );
  await health.until(HEALTHY);
  await pair.primary.kill();
  const { message, errorCode, accessMode, circuitState, config } = await health.until(DEGRADED);
  assert.equal(
    message,
    "Primary database is unavailable: a standby serves reads, writes are rejected",
  );
  assert.notEqual(errorCode, "READ_ONLY", "it is the primary's outage");
  assert.equal(accessMode, AccessMode.READ_ONLY);
  assert.notEqual(circuitState, CircuitState.CLOSED);
  assert.equal(config?.poolInfo?.idleConnections, 0, "the primary's pool");

  await pair.promote();
  assert.equal((await health.until(HEALTHY)).accessMode, AccessMode.READ_WRITE);
});
