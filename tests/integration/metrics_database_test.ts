import assert from "node:assert/strict";
import type { DatabaseConfig } from "../../src/config/mod.ts";
import { DatabaseError } from "../../src/database/mod.ts";
import { Metrics } from "../../src/telemetry/metrics/mod.ts";
import { eventually } from "../support/condition.ts";
import { startManager, type TestManager, untilState } from "../support/database_support.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { Scrape } from "../support/scrape.ts";

/** A manager with metrics, connected. */
async function startMeasured(
  server: TestPostgres,
  overrides: Partial<DatabaseConfig> = {},
): Promise<TestManager & { read(): Promise<Scrape> }> {
  using metrics = new Metrics({ version: "0.0.0-test", runtime: "safe" });
  const manager = startManager(server, overrides, { observer: metrics.databaseObserver });
  const { database } = manager;
  metrics.watchDatabase(database);
  await untilState(database, "connected");
  return {
    database,
    events: manager.events,
    logged: manager.logged,
    read: async () => new Scrape((await metrics.expose(null)).text),
    [Symbol.asyncDispose]: () => manager[Symbol.asyncDispose](),
  };
}

function rejectsWith(code: string, promise: Promise<unknown>): Promise<void> {
  return assert.rejects(promise, (error) => error instanceof DatabaseError && error.code === code);
}

Deno.test("operations are measured by what they are and how they ended", async () => {
  await using server = await startPostgres();
  await using manager = await startMeasured(server);
  const { database } = manager;

  await database.query`select 1`;
  await database.query({ access: "read" })`select 1`;
  await database.transaction((tx) => tx`select 1`);
  await database.withConnection((sql) => sql`select 1`);
  await rejectsWith("QUERY_FAILED", database.query`select 1 / 0`);
  await rejectsWith("STATEMENT_TIMEOUT", database.query({ timeoutMs: 20 })`select pg_sleep(60)`);
  await rejectsWith("ABORTED", database.query({ signal: AbortSignal.abort() })`select 1`);
  const fault = new Error("a fault of the caller");
  await assert.rejects(database.transaction(() => Promise.reject(fault)), fault);
  await rejectsWith("QUERY_FAILED", database.query`do $$ begin raise sqlstate 'ZZ001'; end $$`);

  const metrics = await manager.read();
  const count = (operation: string, outcome: string) =>
    metrics.value("db_client_operation_duration_seconds_count", { operation, outcome });
  assert.equal(count("query", "success"), 2);
  assert.equal(count("query", "error"), 3);
  assert.equal(count("query", "aborted"), 1);
  assert.equal(count("transaction", "success"), 1);
  assert.equal(count("transaction", "work_failed"), 1);
  const errors = (code: string, sqlstate_class: string) =>
    metrics.value("db_client_errors_total", { operation: "query", code, sqlstate_class });
  assert.equal(errors("QUERY_FAILED", "22"), 1);
  assert.equal(errors("QUERY_FAILED", "other"), 1);
  assert.equal(errors("STATEMENT_TIMEOUT", "none"), 1);
  const slowest = { operation: "query", outcome: "error", le: "0.01" };
  const failures = metrics.value("db_client_operation_duration_seconds_bucket", slowest);
  assert(failures < 3, "the statement that was stopped took at least 20 ms");
});

Deno.test("a busy pool is seen in its metrics", async () => {
  await using server = await startPostgres();
  await using manager = await startMeasured(server, {
    maxConnections: 2,
    maxIdleConnections: 2,
    acquireQueueLimit: 1,
  });
  const { database } = manager;
  const pool = "primary";
  const end = Promise.withResolvers<void>();
  const busy = [1, 2].map(() => database.withConnection(() => end.promise));
  await eventually(() => database.poolStats().inUse === 2, { what: "both are in use" });
  await rejectsWith("ACQUIRE_TIMEOUT", database.query({ timeoutMs: 20 })`select 1`);
  const waiting = database.query`select 1`;
  await rejectsWith("QUEUE_FULL", database.query`select 1`);

  const full = await manager.read();
  assert.equal(full.value("db_client_connection_count", { pool, state: "used" }), 2);
  assert.equal(full.value("db_client_connection_count", { pool, state: "idle" }), 0);
  assert.equal(full.value("db_client_connection_max", { pool }), 2);
  assert.equal(full.value("db_client_connection_utilization_ratio", { pool }), 1);
  assert.equal(full.value("db_client_connection_pending_requests", { pool }), 1);
  assert.equal(full.value("db_client_connection_rejected_total", { pool }), 1);

  end.resolve();
  await Promise.all([...busy, waiting]);
  const calm = await manager.read();
  assert.equal(calm.value("db_client_connection_pending_requests", { pool }), 0);
  assert.equal(calm.value("db_client_connection_utilization_ratio", { pool }), 0);
  assert.equal(
    calm.value("db_client_connection_wait_time_seconds_count", { pool }),
    calm.value("db_client_connection_acquired_total", { pool }),
  );
  assert(calm.value("db_client_connection_waited_total", { pool }) >= 1);
});

Deno.test("reading the metrics does not stand in a line for a connection", async () => {
  await using server = await startPostgres();
  await using manager = await startMeasured(server, { maxConnections: 1, maxIdleConnections: 1 });
  const { database } = manager;
  const end = Promise.withResolvers<void>();
  const busy = database.withConnection(() => end.promise);
  await eventually(() => database.poolStats().inUse === 1, { what: "it is in use" });
  const metrics = await manager.read();
  assert.equal(metrics.value("db_client_connection_pending_requests", { pool: "primary" }), 0);
  assert.equal(database.poolStats().waitCount, 0);
  end.resolve();
  await busy;
});
