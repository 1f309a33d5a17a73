import assert from "node:assert/strict";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { ConfigError } from "../../src/config/mod.ts";
import { DatabaseManager } from "../../src/database/mod.ts";
import { HealthRegistry, PostgreSQLChecker } from "../../src/health/mod.ts";
import { Metrics } from "../../src/telemetry/metrics/mod.ts";
import { eventually } from "../support/condition.ts";
import { startManager, untilState } from "../support/database_support.ts";
import { createDatabase, startPostgres } from "../support/postgres.ts";
import { Scrape } from "../support/scrape.ts";

Deno.test("of two managers in one process, logs, metrics and health say which has lost its database", async () => {
  await using mainServer = await createDatabase();
  await using ledgerServer = await startPostgres();
  using metrics = new Metrics({ version: "0.0.0-test", runtime: "safe" });
  await using main = startManager(mainServer, {}, { observer: metrics.databaseObserver });
  await using ledger = startManager(ledgerServer, {}, {
    name: "ledger",
    observer: metrics.observeDatabase("ledger"),
  });
  const managers = [main.database, ledger.database];
  for (const database of managers) metrics.watchDatabase(database);
  await using health = new HealthRegistry({
    checkers: managers.map((database) => new PostgreSQLChecker({ database })),
    checkIntervalMs: 100,
  });
  for (const database of managers) {
    await untilState(database, "connected");
    await database.query`select 1`;
  }
  health.start();

  await ledgerServer.stop("immediate");
  await untilState(ledger.database, "disconnected");
  const statuses = () => {
    const { dependencies = [] } = health.latest() ?? {};
    return Object.fromEntries(
      dependencies.map(({ name, status }) => [name, ServiceStatus[status]]),
    );
  };
  await eventually(() => statuses()["ledger-primary"] === "UNHEALTHY", {
    what: "health says that the ledger's database is lost",
  });
  assert.deepEqual(statuses(), {
    "postgresql-primary": "HEALTHY",
    "ledger-primary": "UNHEALTHY",
  });

  assert(ledger.events.includes("database.lost"));
  assert(!main.events.includes("database.lost"));
  assert.deepEqual(new Set(ledger.logged.map(({ database }) => database)), new Set(["ledger"]));
  assert.deepEqual(new Set(main.logged.map(({ database }) => database)), new Set(["postgresql"]));

  const { text } = await metrics.expose(null);
  const lines = text.split("\n");
  for (
    const line of [
      "treasury_database_up 1",
      'treasury_database_up{database="ledger"} 0',
      "treasury_database_outages_total 0",
      'treasury_database_outages_total{database="ledger"} 1',
      'db_client_connection_max{pool="primary"} 25',
      'db_client_connection_max{pool="primary",database="ledger"} 25',
    ]
  ) assert(lines.includes(line), `${line} is in\n${text}`);
  const scrape = new Scrape(text);
  const queries = { operation: "query", outcome: "success" };
  const count = "db_client_operation_duration_seconds_count";
  assert.equal(scrape.value(count, queries), 1);
  assert.equal(scrape.value(count, { ...queries, database: "ledger" }), 1);
});

Deno.test("a database is observed once under each name", () => {
  using metrics = new Metrics({ version: "0.0.0-test", runtime: "safe" });
  metrics.observeDatabase("ledger");
  assert.throws(() => metrics.observeDatabase("ledger"), /ledger is already observed/);
  assert.throws(() => metrics.observeDatabase("postgresql"), /postgresql is already observed/);
});

Deno.test("a name that is not plain is refused", () => {
  for (const name of ["", "a b", "a.b", "ä", "x".repeat(64), 'a"b']) {
    assert.throws(
      () => new DatabaseManager("postgresql://ada@localhost/ledger", { name }),
      (error) => error instanceof ConfigError && error.problems[0]?.setting === "name",
      name,
    );
  }
});
