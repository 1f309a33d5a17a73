import assert from "node:assert/strict";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { systemClock } from "../../src/time.ts";
import { startManager, untilState } from "../support/database_support.ts";
import { createDatabase, startPostgres } from "../support/postgres.ts";
import { startServer, type TestServer } from "../support/server.ts";

/** Less than what a record of the same kind has to wait for. */
const INTERVAL_MS = 10_000;

async function callOften({ url }: TestServer, calls: number): Promise<void> {
  const call = async () => {
    const response = await fetch(new URL("/treasury.v1.Health/GetHealth", url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    assert.equal(response.status, 503);
    await response.body?.cancel();
  };
  const CALLERS = 20;
  await Promise.all(Array.from({ length: CALLERS }, async () => {
    for (let left = calls / CALLERS; left > 0; left--) await call();
  }));
}

Deno.test("an outage under load writes one line for each kind of failure, and counts the rest", async () => {
  await using postgres = await startPostgres();
  await using manager = startManager(postgres);
  await using server = await startServer({}, (router) =>
    router.service(Health, {
      getHealth: async () => {
        await manager.database.query`select 1`;
        return {};
      },
    }));
  await untilState(manager.database, "connected");
  await postgres.stop();
  // A statement on a connection whose end has not been seen yet would be no 503.
  await untilState(manager.database, "disconnected");

  const CALLS = 600;
  const startedAt = performance.now();
  await callOften(server, CALLS);
  const intervals = 1 + Math.floor((performance.now() - startedAt) / INTERVAL_MS);

  for (const event of ["rpc.failed", "request"]) {
    const records = server.logs.filter((record) => record.event === event);
    assert.equal(records.length, CALLS, `every ${event} can be seen at level debug`);
    const visible = records.filter(({ level }) => level !== "debug");
    const kinds = new Set(visible.map(({ reason, code }) => reason ?? code));
    assert.ok(kinds.size > 0);
    assert.ok(visible.length <= kinds.size * intervals, `${visible.length} lines of ${event}`);
  }
  const ofDatabase = manager.events.filter((event) => event === "database.lost");
  assert.equal(ofDatabase.length, 1);
});

Deno.test("an exhausted pool is logged once, and once when it is over", async () => {
  await using postgres = await createDatabase();
  let aheadMs = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const config = { maxConnections: 1, acquireTimeoutMs: 20, idleCheckAfterMs: 3_600_000 };
  await using manager = startManager(postgres, config, { clock });
  const { database } = manager;
  await untilState(database, "connected");

  const outcomes = await database.withConnection(() =>
    Promise.allSettled(Array.from({ length: 50 }, () => database.query`select 1`))
  );
  assert.ok(outcomes.every(({ status }) => status === "rejected"));
  await database.query`select 1`;
  const eventsOfPool = () =>
    manager.logged.filter(({ event }) => String(event).startsWith("database.pool_"));
  assert.deepEqual(eventsOfPool(), [{
    event: "database.pool_exhausted",
    pool: "primary",
    code: "ACQUIRE_TIMEOUT",
    max: 1,
    waiting: eventsOfPool()[0]?.waiting,
    database: "postgresql",
  }]);

  aheadMs = 60_000;
  await database.query`select 1`;
  await database.query`select 1`;
  const [, relieved, ...more] = eventsOfPool();
  assert.equal(relieved?.event, "database.pool_relieved");
  assert.equal(relieved?.refused, 50);
  assert.ok(Number(relieved?.exhausted_ms) >= 60_000);
  assert.deepEqual(more, []);
});
