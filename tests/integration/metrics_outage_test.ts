import assert from "node:assert/strict";
import { eventually } from "../support/condition.ts";
import { getHealth } from "../support/health_client.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { type Scrape, scrape } from "../support/scrape.ts";
import { databaseEnv, startService } from "../support/service.ts";

/** Scrapes until the metrics say what they should. */
function until(
  url: string,
  what: string,
  condition: (metrics: Scrape) => boolean,
): Promise<Scrape> {
  return eventually(async () => {
    const metrics = await scrape(url);
    return condition(metrics) ? metrics : undefined;
  }, { what });
}

function serviceFor(server: TestPostgres) {
  return startService({
    env: {
      ...databaseEnv(server),
      DB_MIGRATE_ON_START: "true",
      DB_HEALTH_CHECK_INTERVAL: "0.1",
    },
  });
}

Deno.test("the metrics tell of an outage and of the recovery", async () => {
  await using server = await startPostgres();
  await using service = await serviceFor(server);
  const { url } = service;

  const up = await until(url, "the database is up", (metrics) => {
    return metrics.value("treasury_database_migration_version") > 0 &&
      metrics.value("treasury_health_ready") === 1;
  });
  assert.equal(up.value("treasury_database_up"), 1);
  assert.equal(up.value("treasury_database_access_mode", { mode: "read_write" }), 1);
  assert.equal(
    up.value("treasury_database_circuit_state", { pool: "primary", state: "closed" }),
    1,
  );
  assert.equal(up.value("treasury_database_migration_dirty"), 0);
  assert.equal(up.value("treasury_database_outages_total"), 0);
  assert.equal(up.value("treasury_health_status", { status: "healthy" }), 1);
  assert.match(
    up.text,
    /^treasury_health_check_duration_seconds_count\{dependency="postgresql-primary",status="unhealthy"\} 0$/m,
    "a first failure is an increase",
  );

  const calls = { method: "treasury.v1.Health/GetHealth", code: "ok", protocol: "connect" };
  await Promise.all(Array.from({ length: 50 }, () => getHealth(url)));
  const loaded = await until(url, "all calls are counted", (metrics) => {
    return metrics.value("rpc_server_call_duration_seconds_count", calls) === 50;
  });
  const pings = { operation: "ping", outcome: "success" };
  assert(loaded.value("db_client_operation_duration_seconds_count", pings) > 0);
  assert(loaded.value("db_client_connection_use_time_seconds_count", { pool: "primary" }) > 0);
  assert(loaded.value("db_client_connection_create_time_seconds_count", { pool: "primary" }) > 0);

  await server.stop("fast");
  const down = await until(url, "the outage is known", (metrics) => {
    return metrics.value("treasury_health_status", { status: "unhealthy" }) === 1 &&
      metrics.value("db_client_errors_total", {
          operation: "connect",
          code: "CONNECTION_REFUSED",
          sqlstate_class: "none",
        }) > 0;
  });
  assert.equal(down.value("treasury_database_up"), 0);
  assert.equal(down.value("treasury_database_access_mode", { mode: "unavailable" }), 1);
  assert.equal(
    down.value("treasury_database_circuit_state", { pool: "primary", state: "closed" }),
    0,
  );
  assert.equal(down.value("treasury_database_outages_total"), 1);
  assert(down.value("treasury_database_outage_duration_seconds") > 0);
  assert.equal(down.value("treasury_health_ready"), 0);
  const postgresql = { dependency: "postgresql-primary", status: "unhealthy" };
  assert.equal(down.value("treasury_health_dependency_status", postgresql), 1);
  assert(down.value("treasury_health_check_duration_seconds_count", postgresql) > 0);
  assert(down.value("db_client_connection_open_failures_total", { pool: "primary" }) > 0);
  assert(down.value("treasury_database_migration_version") > 0, "the last known one");

  await server.start();
  const back = await until(url, "the recovery is known", (metrics) => {
    return metrics.value("treasury_health_status", { status: "healthy" }) === 1;
  });
  assert.equal(back.value("treasury_database_up"), 1);
  assert.equal(back.value("treasury_database_recovery_duration_seconds_count"), 1);
  assert(back.value("treasury_database_last_recovery_duration_seconds") > 0);
  assert.equal(back.value("treasury_database_outage_duration_seconds"), 0);
  const closed = { from: "half_open", to: "closed", reason: "probe_succeeded" };
  const pool = "primary";
  assert.equal(back.value("treasury_database_circuit_transitions_total", { pool, ...closed }), 1);

  const { password } = server.database;
  for (const { text } of [up, loaded, down, back]) assert(!text.includes(password));
});

Deno.test("the metrics count rejected logins, and show no password", async () => {
  await using server = await startPostgres();
  const password = "not-the-password";
  const env = { ...databaseEnv(server), DB_PASSWORD: password, DB_AUTH_RETRY_DELAY: "0.1" };
  await using service = await startService({ env });
  const rejected = { operation: "connect", code: "AUTHENTICATION_FAILED", sqlstate_class: "28" };
  const metrics = await until(service.url, "logins are counted", (metrics) => {
    return metrics.value("db_client_errors_total", rejected) > 1;
  });
  assert(!metrics.text.includes(password));
});

Deno.test("the metrics say nothing of a schema that the service may not look at", async () => {
  await using server = await startPostgres();
  await server.admin("create table schema_migrations (version bigint primary key, dirty boolean)");
  await server.admin("insert into schema_migrations values (1, true)");
  await using service = await startService({ env: databaseEnv(server) });
  const metrics = await until(service.url, "the database is up", (metrics) => {
    return metrics.value("treasury_health_ready") === 1;
  });
  assert.doesNotMatch(metrics.text, /^treasury_database_migration_/m);
});

Deno.test("the metrics say that a migration is unfinished", async () => {
  await using server = await startPostgres();
  await server.admin("create table schema_migrations (version bigint primary key, dirty boolean)");
  await server.admin("insert into schema_migrations values (1, true)");
  await server.admin(`alter table schema_migrations owner to ${server.database.user}`);
  await using service = await serviceFor(server);
  const isDirty = "treasury_database_migration_dirty";
  await until(service.url, "the schema is dirty", (metrics) => metrics.value(isDirty) === 1);
});
