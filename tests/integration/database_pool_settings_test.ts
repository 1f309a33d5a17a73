import assert from "node:assert/strict";
import { DatabaseError, type DatabaseManager } from "../../src/database/mod.ts";
import { systemClock } from "../../src/time.ts";
import { eventually } from "../support/condition.ts";
import { startManager, untilState } from "../support/database_support.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";
import { FakeClock, settle } from "../unit/database/fake_clock.ts";

/** Waits until one connection is there, and nobody has it. */
async function untilOneIsIdle(database: DatabaseManager): Promise<void> {
  await untilState(database, "connected");
  await eventually(() => {
    const { open, idle } = database.poolStats();
    return open === 1 && idle === 1;
  });
}

Deno.test("no more connections are opened at the same time than the configuration says", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, { maxConnecting: 2 });
  const { database } = test;
  await untilOneIsIdle(database);
  const { connecting, calls } = await database.withConnection(async () => {
    const calls = Array.from({ length: 10 }, () => database.query`select 1`);
    await settle();
    return { connecting: database.poolStats().connecting, calls };
  });
  await Promise.all(calls);
  assert.equal(connecting, 2);
});

Deno.test("a connection ends after the configured lifetime, less a jitter of the manager's", async () => {
  await using server = await startPostgres();
  const clock = new FakeClock();
  const overrides = { connectionMaxLifetimeMs: 1000 };
  await using test = startManager(server, overrides, { clock, random: () => 0.2 });
  const { database } = test;
  await untilOneIsIdle(database);
  clock.advance(979);
  assert.equal(database.poolStats().closedCount.lifetime, 0);
  clock.advance(1);
  assert.equal(database.poolStats().closedCount.lifetime, 1);
});

Deno.test("a connection that was idle for the configured time is checked, and its death costs no call", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  let skippedMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + skippedMs };
  const overrides = { hosts: [proxy.address], idleCheckAfterMs: 600_000 };
  await using test = startManager(server, overrides, { clock });
  const { database } = test;
  await untilOneIsIdle(database);
  const unchecked = database.query`select 1`;
  await settle();
  const { inUse, waiting } = database.poolStats();
  await unchecked;
  assert.deepEqual({ inUse, waiting }, { inUse: 1, waiting: 0 });

  proxy.silence();
  skippedMs = 600_000;
  await database.query({ timeoutMs: 30_000 })`select 1`;
  assert.equal(database.poolStats().closedCount.error, 1);
});

Deno.test("a caller that gets no connection is told why, and which settings decide", async () => {
  await using server = await startPostgres();
  const overrides = { maxConnections: 1, acquireQueueLimit: 2, acquireTimeoutMs: 200 };
  await using test = startManager(server, overrides);
  const { database } = test;
  await untilOneIsIdle(database);
  await database.withConnection(async () => {
    const left = new AbortController();
    const reason = new Error("the caller has left");
    const late = database.query`select 1`;
    const aborted = database.query({ signal: left.signal })`select 1`;
    const outcomes = Promise.all([
      assert.rejects(late, {
        name: "DatabaseError",
        code: "ACQUIRE_TIMEOUT",
        message: "No database connection within 200 ms: 1 of 1 in use, 0 connecting, " +
          "1 waiting (DB_MAX_CONNECTIONS, DB_ACQUIRE_TIMEOUT)",
      }),
      assert.rejects(aborted, (error: DatabaseError) => {
        const { code, cause } = error;
        assert.ok(error instanceof DatabaseError);
        assert.deepEqual([code, (cause as Error).message], ["ABORTED", reason.message]);
        return true;
      }),
    ]);
    await settle();
    await assert.rejects(database.query`select 1`, {
      name: "DatabaseError",
      code: "QUEUE_FULL",
      message: "Too many callers wait for a database connection: 1 of 1 in use, 0 connecting, " +
        "2 waiting (DB_MAX_CONNECTIONS, DB_ACQUIRE_QUEUE_LIMIT)",
    });
    left.abort(reason);
    await outcomes;

    const short = database.query({ timeoutMs: 50 })`select 1`;
    await assert.rejects(short, {
      code: "ACQUIRE_TIMEOUT",
      message: /the timeout of the operation/,
    });
  });
  const { acquireTimeoutCount, rejectedCount } = database.poolStats();
  assert.deepEqual({ acquireTimeoutCount, rejectedCount }, {
    acquireTimeoutCount: 2,
    rejectedCount: 1,
  });
});
