import assert from "node:assert/strict";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { connect } from "../../src/database/mod.ts";
import { PostgreSQLChecker } from "../../src/health/mod.ts";
import { startManager, type TestManager, untilState } from "../support/database_support.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

/** For the service: 20, less 3 for superusers and 4 for who may use reserved ones. */
const SETTINGS = {
  max_connections: "20",
  superuser_reserved_connections: "3",
  reserved_connections: "4",
};

const budgetLogs = ({ logged }: TestManager) =>
  logged.filter(({ event }) => event === "database.connection_budget");

async function budgetOf(server: TestPostgres, maxConnections: number, instances = 1) {
  await using test = startManager(server, { maxConnections, serviceInstances: instances });
  await untilState(test.database, "connected");
  const budget = test.database.connectionBudget;
  assert.ok(budget !== undefined);
  return { ...budget, warnings: budgetLogs(test).length };
}

Deno.test("all connections but the reserved ones are for the service", async () => {
  await using server = await startPostgres({ settings: SETTINGS });
  const fitting = await budgetOf(server, 13);
  assert.deepEqual([fitting.available, fitting.fits, fitting.warnings], [13, true, 0]);
  const tooMany = await budgetOf(server, 7, 2);
  assert.deepEqual([tooMany.needed, tooMany.fits, tooMany.warnings], [14, false, 1]);
});

Deno.test("connections of others are subtracted, those of other instances are not", async () => {
  await using server = await startPostgres({ settings: SETTINGS });
  await using _other = await connect(server.config({ applicationName: "another" }));
  await using _instance = await connect(server.config());
  const { available, narrowest } = await budgetOf(server, 1);
  assert.deepEqual({ available, narrowest }, {
    available: 12,
    narrowest: { scope: "server", limit: 13, othersInUse: 1 },
  });
});

Deno.test("limits of the role and of the database count", async () => {
  await using server = await startPostgres({ settings: SETTINGS });
  await server.admin("alter role treasury_user connection limit 6");
  assert.deepEqual((await budgetOf(server, 1)).narrowest, {
    scope: "role",
    limit: 6,
    othersInUse: 0,
  });
  await server.admin("alter database treasury_db connection limit 5");
  assert.equal((await budgetOf(server, 1)).narrowest.scope, "database");
});

Deno.test("reserved connections are the superuser's too", async () => {
  await using server = await startPostgres({ settings: SETTINGS });
  await server.admin("alter role treasury_user superuser connection limit 1");
  assert.equal((await budgetOf(server, 1)).available, 20);
});

Deno.test("a shortage is in the log once, and in health without changing the status", async () => {
  await using server = await startPostgres({ settings: SETTINGS });
  await server.admin("alter role treasury_user connection limit 8");
  await using test = startManager(server, { maxConnections: 5, serviceInstances: 2 });
  await untilState(test.database, "connected");
  const checker = new PostgreSQLChecker({ database: test.database });
  const health = () => checker.check(new AbortController().signal);
  const { status, message } = await health();
  assert.equal(status, ServiceStatus.HEALTHY);
  assert.match(message, /healthy; up to 10 connections \(2 x 5\) .* the role limit leaves 8$/);

  const restart = async () => {
    await server.stop();
    await untilState(test.database, "disconnected");
    await server.start();
    await untilState(test.database, "connected");
  };
  await restart();
  assert.equal(budgetLogs(test).length, 1);

  await server.admin("alter role treasury_user connection limit -1");
  await restart();
  assert.deepEqual(budgetLogs(test).map(({ available }) => available), [8, 13]);
  assert.equal((await health()).message, "Database connection healthy");
});
