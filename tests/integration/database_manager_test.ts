import assert from "node:assert/strict";
import { inspect } from "node:util";
import { DatabaseError } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { createDatabase } from "../support/postgres.ts";
import {
  holdLock,
  startManager,
  untilNoSessions,
  untilRunning,
  untilState,
} from "../support/database_support.ts";

Deno.test("a manager connects in the background, and says so", async () => {
  await using server = await createDatabase();
  await using test = startManager(server);
  assert.equal(test.database.state, "connecting");
  await untilState(test.database, "connected");
  assert.deepEqual(test.events, ["database.connected"]);
  assert.equal(test.database.outage, undefined);
  assert.ok(test.database.connectedAt instanceof Date);
  assert.equal(await server.sessions(), 1);
  assert.equal(test.database.poolStats().idle, 1);
});

Deno.test("queries take parameters and give rows", async () => {
  await using server = await createDatabase();
  await using test = startManager(server);
  const rows = await test.database.query<{ sum: number; text: string }>`
    select ${1}::int + ${2}::int as sum, ${"'; drop table x"} as text
  `;
  assert.deepEqual([...rows], [{ sum: 3, text: "'; drop table x" }]);
  await assert.rejects(test.database.query`select 1/0`, {
    name: "DatabaseError",
    code: "QUERY_FAILED",
    sqlState: "22012",
  });
});

Deno.test("work on one connection stays in one session", async () => {
  await using server = await createDatabase();
  await using test = startManager(server);
  await untilState(test.database, "connected");
  const pids = await test.database.withConnection(async (sql) => {
    const first = await sql`select pg_backend_pid() as pid`;
    const second = await sql`select pg_backend_pid() as pid`;
    return [first[0]?.pid, second[0]?.pid];
  });
  assert.equal(pids[0], pids[1]);

  const own = new Error("the work's own");
  await assert.rejects(test.database.withConnection(() => Promise.reject(own)), own);
  assert.equal(test.database.poolStats().inUse, 0);
});

Deno.test("a ping tells how long it took, and whether the database takes writes", async () => {
  await using server = await createDatabase();
  await using test = startManager(server, { connectionMaxIdleTimeMs: 1 });
  const { responseTimeMs, accessMode } = await test.database.ping();
  assert.ok(responseTimeMs > 0);
  assert.equal(accessMode, "READ_WRITE");

  await server.admin(
    `alter database ${server.database.database} set default_transaction_read_only = on`,
  );
  await eventually(async () => (await test.database.ping()).accessMode === "READ_ONLY");
  await assert.rejects(test.database.query`create table x ()`, { code: "READ_ONLY" });
});

Deno.test("an aborted ping costs no connection", async () => {
  await using server = await createDatabase();
  await using test = startManager(server);
  const { database } = test;
  await untilState(database, "connected");
  const { idle } = database.poolStats();
  await assert.rejects(database.ping({ signal: AbortSignal.abort() }), { code: "ABORTED" });
  assert.equal(database.poolStats().idle, idle);
});

Deno.test("an aborted query ends at once, on the server too", async () => {
  await using server = await createDatabase();
  await using test = startManager(server);
  // The first attempt has statements of its own.
  await untilState(test.database, "connected");
  const controller = new AbortController();
  const { signal } = controller;
  const running = test.database.query({ signal })`select pg_sleep(600)`;
  const outcome = assert.rejects(running, { name: "DatabaseError", code: "ABORTED" });
  await untilRunning(server, "pg_sleep");
  controller.abort();
  await outcome;

  const stillRunning = await server.admin(
    "select from pg_stat_activity where state = 'active' and usename = $1",
    [server.database.user],
  );
  assert.equal(stillRunning.length, 0);
  assert.equal(test.database.state, "connected");
  await assert.rejects(test.database.query({ signal })`select 1`, { code: "ABORTED" });
});

Deno.test("a full pool queues callers in order, and turns away who waits too long", async () => {
  await using server = await createDatabase();
  await using test = startManager(server, { maxConnections: 2, maxIdleConnections: 2 });
  const { database } = test;
  await untilState(database, "connected");
  const release = Promise.withResolvers<void>();
  const holders = [1, 2].map(() => database.withConnection(() => release.promise));
  await eventually(() => database.poolStats().inUse === 2);

  const order: number[] = [];
  const waiters = [1, 2, 3, 4].map((n) => database.withConnection(() => void order.push(n)));
  assert.equal(database.poolStats().waiting, 4);
  await assert.rejects(database.ping({ timeoutMs: 20 }), { code: "ACQUIRE_TIMEOUT" });
  assert.equal(database.state, "connected");

  release.resolve();
  await Promise.all([...holders, ...waiters]);
  assert.deepEqual(order, [1, 2, 3, 4]);
  assert.equal(database.poolStats().openedCount, 2);
});

Deno.test("an acquire times out with what the pool was doing", async () => {
  await using server = await createDatabase();
  await using test = startManager(server, { maxConnections: 1, acquireTimeoutMs: 50 });
  await untilState(test.database, "connected");
  const release = Promise.withResolvers<void>();
  const holder = test.database.withConnection(() => release.promise);
  await assert.rejects(test.database.query`select 1`, {
    code: "ACQUIRE_TIMEOUT",
    message: /1 of 1 in use/,
  });
  assert.equal(test.database.poolStats().acquireTimeoutCount, 1);
  release.resolve();
  await holder;
});

Deno.test("the pool never opens more sessions than it may", async () => {
  await using server = await createDatabase();
  await using test = startManager(server, { maxConnections: 3, maxIdleConnections: 1 });
  let most = 0;
  const work = Array.from({ length: 60 }, () => test.database.query`select pg_sleep(0.01)`);
  const done = Promise.all(work);
  while (test.database.poolStats().waiting > 0) most = Math.max(most, await server.sessions());
  await done;
  assert.ok(most > 0 && most <= 3, `${most} sessions`);
  await eventually(() => test.database.poolStats().openedCount === 3);
  await eventually(async () => await server.sessions() === 1);
  assert.equal(test.database.poolStats().idle, 1);
});

Deno.test("close waits for work, leaves no backend, and nothing starts after it", async () => {
  await using server = await createDatabase();
  await using test = startManager(server);
  const states: string[] = [];
  test.database.onStateChange(({ state }) => states.push(state));
  await untilState(test.database, "connected");
  await using lock = await holdLock(server);
  const running = test.database.query`select pg_advisory_xact_lock(1)`;
  await untilRunning(server, "pg_advisory_xact_lock");
  const closed = test.database.close();
  await assert.rejects(test.database.query`select 1`, { code: "POOL_CLOSED" });
  await lock.release();
  await closed;

  assert.equal((await running).length, 1);
  await untilNoSessions(server);
  assert.deepEqual(states, ["connected", "closing", "closed"]);
  await assert.rejects(test.database.ping(), { code: "POOL_CLOSED" });
  test.database.start();
  await test.database.close();
  assert.equal(test.database.state, "closed");
  assert.equal(await server.sessions(), 0);
});

Deno.test("close ends work that takes too long", async () => {
  await using server = await createDatabase();
  await using test = startManager(server);
  const running = assert.rejects(test.database.query`select pg_sleep(600)`, {
    code: "COMMIT_UNKNOWN",
  });
  await untilRunning(server, "pg_sleep");
  await test.database.close({ timeoutMs: 50 });
  await running;
  assert.equal(test.database.poolStats().open, 0);
});

Deno.test("preparation comes before the state, and is repeated until it succeeds", async () => {
  await using server = await createDatabase();
  const gate = Promise.withResolvers<void>();
  let runs = 0;
  const ensureSchema = async () => {
    await gate.promise;
    if (++runs < 3) throw new DatabaseError("MIGRATION_LOCKED");
  };
  await using test = startManager(server, {}, { ensureSchema });
  await test.database.ping();
  assert.equal(test.database.state, "connecting");
  gate.resolve();
  await untilState(test.database, "connected");
  assert.equal(runs, 3);
  assert.deepEqual(test.events, ["database.connect_failed", "database.connected"]);
});

Deno.test("printing a manager shows no password", async () => {
  await using server = await createDatabase();
  await using test = startManager(server);
  await test.database.ping();
  const shown = inspect(test.database, { depth: 20, showHidden: true, getters: true }) +
    Deno.inspect(test.database, { depth: 20 });
  assert.doesNotMatch(shown, new RegExp(server.database.password));
});
