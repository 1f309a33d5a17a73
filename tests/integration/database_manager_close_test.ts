import assert from "node:assert/strict";
import { DatabaseManager } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";
import { FakeClock } from "../unit/database/fake_clock.ts";
import {
  holdLock,
  startManager,
  untilNoSessions,
  untilRunning,
  untilState,
  watchUnhandled,
} from "../support/database_support.ts";

async function assertClosed(database: DatabaseManager): Promise<void> {
  assert.equal(database.state, "closed");
  assert.equal(database.accessMode, "UNAVAILABLE");
  const { open, waiting, connecting } = database.poolStats();
  assert.deepEqual({ open, waiting, connecting }, { open: 0, waiting: 0, connecting: 0 });
  await assert.rejects(database.query`select 1`, { code: "POOL_CLOSED" });
  await assert.rejects(database.query({ access: "read" })`select 1`, { code: "POOL_CLOSED" });
  await assert.rejects(database.transaction((tx) => tx`select 1`), { code: "POOL_CLOSED" });
  await assert.rejects(database.ping(), { code: "POOL_CLOSED" });
}

Deno.test("close before the start", async () => {
  await using server = await startPostgres();
  const database = new DatabaseManager(server.config());
  await database.close();
  database.start();
  await assertClosed(database);
  assert.equal(await server.sessions(), 0);
});

Deno.test("close while it connects to a server that does not answer", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await proxy.setMode("black-hole");
  await using test = startManager(server, { hosts: [proxy.address], connectTimeoutMs: 600_000 });
  await eventually(() => proxy.stats.total === 1);
  await test.database.close();
  await assertClosed(test.database);
});

Deno.test("close while it prepares", async () => {
  await using server = await startPostgres();
  const entered = Promise.withResolvers<void>();
  const ensureSchema = (signal: AbortSignal) => {
    entered.resolve();
    return new Promise<void>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  };
  await using test = startManager(server, {}, { ensureSchema });
  await entered.promise;
  await assert.rejects(test.database.query`select 1`, { code: "NOT_PREPARED" });
  await test.database.close();
  await assertClosed(test.database);
  await untilNoSessions(server);
});

Deno.test("close while the circuit is open, and while it is probed", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  for (const delayMs of [3_600_000, 1]) {
    await using test = startManager(server, {
      retryInitialDelayMs: delayMs,
      retryMaxDelayMs: delayMs,
    }, { random: () => 0.999 });
    await untilState(test.database, "connected");
    await server.stop();
    await untilState(test.database, "disconnected");
    await test.database.close();
    await assertClosed(test.database);
    await server.start();
  }
  assert.equal(await server.sessions(), 0);
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("close while an operator keeps it open", async () => {
  await using server = await startPostgres();
  await using test = startManager(server);
  await untilState(test.database, "connected");
  test.database.circuit.forceOpen("maintenance");
  await test.database.close();
  await assertClosed(test.database);
  test.database.circuit.reset();
  assert.equal(test.database.state, "closed", "nothing brings it back");
  await untilNoSessions(server);
});

Deno.test("close while it waits for writes to come back", async () => {
  await using server = await startPostgres();
  await server.admin(`alter role ${server.database.user} set default_transaction_read_only = on`);
  await using test = startManager(server);
  await eventually(() => test.database.accessMode === "READ_ONLY");
  await test.database.close();
  await assertClosed(test.database);
  await untilNoSessions(server);
});

Deno.test("close with read hosts leaves no session on either", async () => {
  await using server = await startPostgres();
  const { host, port } = server.database;
  await using test = startManager(server, { readHosts: [{ host, port }] });
  await eventually(async () => await server.sessions() === 2, {
    what: "both pools have connected",
  });
  await test.database.close();
  await assertClosed(test.database);
  await untilNoSessions(server);
});

Deno.test("close lets work finish, and rejects waiting callers", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, { maxConnections: 1 });
  const { database } = test;
  await untilState(database, "connected");
  await using lock = await holdLock(server);
  const running = database.query<{ seven: number }>`
    select pg_advisory_xact_lock(1), 7 as seven
  `;
  await untilRunning(server, "pg_advisory_xact_lock");
  const waiting = assert.rejects(database.query`select 1`, { code: "POOL_CLOSED" });
  await eventually(() => database.poolStats().waiting === 1);
  const closed = database.close({ timeoutMs: 60_000 });
  assert.equal(database.state, "closing");
  await waiting;
  assert.equal(database.state, "closing", "work is still running");
  await lock.release();
  await closed;
  assert.equal((await running)[0]?.seven, 7);
  await assertClosed(database);
  await untilNoSessions(server);
});

Deno.test("disposing does not wait for ever for what runs", async () => {
  await using server = await startPostgres();
  const clock = new FakeClock();
  const database = new DatabaseManager(server.config(), { clock });
  database.start();
  await untilState(database, "connected");
  const running = assert.rejects(database.query({ access: "read" })`select pg_sleep(600)`);
  await eventually(() => database.poolStats().inUse === 1);
  const disposed = database[Symbol.asyncDispose]();
  clock.advance(25_000);
  await disposed;
  await running;
  assert.equal(database.poolStats().open, 0);
});
