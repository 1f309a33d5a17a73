import assert from "node:assert/strict";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import type { DatabaseManager } from "../../src/database/mod.ts";
import { PostgreSQLChecker } from "../../src/health/mod.ts";
import { eventually } from "../support/condition.ts";
import { startManager, untilState } from "../support/database_support.ts";
import { startPostgres } from "../support/postgres.ts";

const FAILURE_PAUSE_MS = 20;

/** Callers who come again at once, and after a failure in a moment, until this is disposed. */
function callers(count: number, call: () => Promise<unknown>): AsyncDisposable {
  let isOver = false;
  const pause = () => new Promise((resolve) => setTimeout(resolve, FAILURE_PAUSE_MS));
  const loops = Array.from({ length: count }, async () => {
    while (!isOver) await call().catch(pause);
  });
  return {
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all(loops);
    },
  };
}

function openings(database: DatabaseManager): unknown[] {
  const causes: unknown[] = [];
  database.circuit.onTransition(({ to, cause }) => to === "open" && causes.push(cause));
  return causes;
}

Deno.test("a full queue of callers hides neither a database that works nor one that is frozen", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, {
    maxConnections: 2,
    acquireQueueLimit: 5,
    acquireTimeoutMs: 1_000,
    pingTimeoutMs: 1_000,
    connectTimeoutMs: 1_000,
  });
  const { database } = test;
  await untilState(database, "connected");
  const checker = new PostgreSQLChecker({ database });
  const check = () => checker.check(new AbortController().signal);
  await using _load = callers(20, () => database.query`select pg_sleep(0.05)`);
  await eventually(() => database.poolStats().rejectedCount > 0);

  for (let round = 0; round < 5; round++) {
    const { status, message } = await check();
    assert.notEqual(ServiceStatus[status], "UNHEALTHY", message);
  }
  await server.freeze();
  await eventually(async () => {
    await check();
    return database.circuit.state !== "closed";
  }, { what: "the freeze is noticed" });
  await server.resume();
  await untilState(database, "connected");
});

Deno.test("a ping that others come before is no outage, also while connections are replaced", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, {
    maxConnections: 2,
    pingTimeoutMs: 200,
    acquireTimeoutMs: 60_000,
    connectionMaxLifetimeMs: 100,
  });
  const { database } = test;
  await untilState(database, "connected");
  const opened = openings(database);
  await using _load = callers(60, () => database.query`select pg_sleep(0.02)`);
  await eventually(() => database.poolStats().waiting > 40);

  const codes = new Set<unknown>();
  for (let round = 0; round < 20; round++) {
    await database.ping().catch(({ code }) => codes.add(code));
  }
  assert.deepEqual([...codes], ["ACQUIRE_TIMEOUT"]);
  assert.deepEqual(opened, []);
});

Deno.test("a frozen server is detected by calls without timeout, without health checks", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, { pingTimeoutMs: 1_000, connectTimeoutMs: 1_000 });
  const { database } = test;
  await untilState(database, "connected");
  await Promise.all(Array.from({ length: 4 }, () => database.query`select pg_sleep(0.1)`));
  await server.freeze();
  const calls = Promise.allSettled([database.query`select 1`, database.query`select 1`]);
  await untilState(database, "disconnected");
  await server.resume();
  await untilState(database, "connected");
  await calls;
});
