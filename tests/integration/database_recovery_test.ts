import assert from "node:assert/strict";
import { inspect } from "node:util";
import { Secret } from "../../src/config/mod.ts";
import type { DatabaseError } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import {
  startManager,
  terminateSessions,
  untilNoSessions,
  untilRunning,
  untilState,
  watchUnhandled,
} from "../support/database_support.ts";

Deno.test("a manager that starts before its server connects when the server comes", async () => {
  await using server = await startPostgres();
  await server.stop();
  await using test = startManager(server);
  await untilState(test.database, "disconnected");
  assert.equal(test.database.outage?.code, "CONNECTION_REFUSED");
  await assert.rejects(test.database.query`select 1`, { code: "CIRCUIT_OPEN" });
  await assert.rejects(test.database.ping(), { code: "CIRCUIT_OPEN" });

  await server.start();
  await untilState(test.database, "connected");
  assert.deepEqual([...await test.database.query`select 1 as one`], [{ one: 1 }]);
  assert.equal(test.events.filter((event) => event === "database.connected").length, 1);
});

const OUTAGES: Readonly<Record<string, (server: TestPostgres) => Promise<void>>> = {
  "a fast stop": (server) => server.stop("fast"),
  "an immediate stop": (server) => server.stop("immediate"),
  "a kill": (server) => server.kill(),
};

for (const [name, takeDown] of Object.entries(OUTAGES)) {
  Deno.test(`${name} is noticed without traffic, and so is the restart`, async () => {
    await using server = await startPostgres();
    using unhandled = watchUnhandled();
    await using test = startManager(server);
    await untilState(test.database, "connected");
    const states: string[] = [];
    test.database.onStateChange(({ state }) => states.push(state));

    await takeDown(server);
    await untilState(test.database, "disconnected");
    assert.equal(test.database.connectedAt, undefined);
    assert.ok(test.database.outage?.isOutage);
    assert.equal(test.database.poolStats().idle, 0);

    await server.start();
    await untilState(test.database, "connected");
    await test.database.query`select 1`;
    assert.deepEqual(states, ["disconnected", "connected"]);
    assert.ok(test.events.includes("database.lost"));
    const recovered = test.logged.find(({ event }) => event === "database.recovered");
    assert.ok(Number(recovered?.downtime_ms) >= 0);
    assert.deepEqual(unhandled.reasons, []);
  });
}

Deno.test("a frozen server is noticed within the ping timeout, and found again", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  await using test = startManager(server, { connectTimeoutMs: 300 });
  await untilState(test.database, "connected");
  await server.freeze();
  await assert.rejects(test.database.ping({ timeoutMs: 100 }), { code: "PING_TIMEOUT" });
  assert.equal(test.database.state, "disconnected");
  assert.equal(test.database.outage?.code, "PING_TIMEOUT");

  await server.resume();
  await untilState(test.database, "connected");
  await test.database.query`select 1`;
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("one terminated backend is no outage, whether idle or at work", async () => {
  await using server = await startPostgres();
  // Else the ping that follows a loss could leave an idle one, which the next loss ends unnoticed.
  await using test = startManager(server, { maxConnections: 1 });
  await untilState(test.database, "connected");
  const states: string[] = [];
  test.database.onStateChange(({ state }) => states.push(state));

  await terminateSessions(server);
  await eventually(() => test.database.poolStats().closedCount.error === 1);
  const running = assert.rejects(test.database.query`select pg_sleep(600)`, {
    code: "COMMIT_UNKNOWN",
  });
  await untilRunning(server, "pg_sleep");
  await terminateSessions(server);
  await running;

  await test.database.query`select 1`;
  await test.database.ping();
  assert.deepEqual(states, []);
});

Deno.test("a rejected password is not hammered, and a corrected one is picked up", async () => {
  await using server = await startPostgres();
  const passwordFile = await Deno.makeTempFile();
  const wrong = "wrong-password-of-this-test";
  await Deno.writeTextFile(passwordFile, wrong);
  try {
    const overrides = { password: new Secret(wrong), passwordFile, authRetryDelayMs: 600 };
    await using test = startManager(server, overrides);
    await untilState(test.database, "disconnected");
    assert.equal(test.database.outage?.code, "AUTHENTICATION_FAILED");
    await assert.rejects(test.database.query`select 1`, { code: "CIRCUIT_OPEN" });

    await Deno.writeTextFile(passwordFile, server.database.password);
    await untilState(test.database, "connected");
    const shown = inspect(test.logged, { depth: 20, showHidden: true });
    assert.doesNotMatch(shown, new RegExp(wrong));
    assert.deepEqual(test.events, ["database.connect_failed", "database.connected"]);
  } finally {
    await Deno.remove(passwordFile);
  }
});

Deno.test("a password that stops working is an outage as soon as no open connection is left", async () => {
  await using server = await startPostgres();
  await using test = startManager(server);
  await untilState(test.database, "connected");
  await server.admin("alter role treasury_user password 'another'");

  await test.database.query`select 1`;
  await test.database.withConnection(async () => {
    const query = test.database.query({ timeoutMs: 200 })`select 1`;
    await assert.rejects(query, { code: "ACQUIRE_TIMEOUT" }, "it waits for what others give back");
  });
  await test.database.query`select 1`;
  await terminateSessions(server);
  await untilState(test.database, "disconnected");
  assert.equal(test.database.outage?.code, "AUTHENTICATION_FAILED");

  await server.admin(`alter role treasury_user password '${server.database.password}'`);
  await untilState(test.database, "connected");
});

Deno.test("load across restarts leaks no connection and leaves nothing unhandled", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  await using test = startManager(server, { maxConnections: 8, maxIdleConnections: 4 });
  await untilState(test.database, "connected");
  let isOver = false;
  let succeeded = 0;
  const codes = new Set<string>();
  const client = async () => {
    while (!isOver) {
      try {
        await test.database.query`select pg_sleep(0.002)`;
        succeeded++;
      } catch (error) {
        codes.add((error as DatabaseError).code);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  };
  const clients = Array.from({ length: 20 }, client);

  for (const takeDown of Object.values(OUTAGES)) {
    const before = succeeded;
    await eventually(() => succeeded > before + 50, { what: "queries succeed" });
    await takeDown(server);
    await untilState(test.database, "disconnected");
    await server.start();
    await untilState(test.database, "connected");
  }
  const before = succeeded;
  await eventually(() => succeeded > before + 50, { what: "queries succeed again" });
  isOver = true;
  await Promise.all(clients);

  // Some callers were served before the connection came that was opened for them.
  await eventually(async () => {
    const { inUse, waiting, open, idle, openedCount, closedCount } = test.database.poolStats();
    assert.deepEqual({ inUse, waiting, open }, { inUse: 0, waiting: 0, open: idle });
    const closed = Object.values(closedCount).reduce((sum, count) => sum + count);
    assert.equal(openedCount - closed, idle);
    return await server.sessions() === idle;
  }, { what: "no connection leaked" });
  for (const code of codes) assert.notEqual(code, "QUERY_FAILED");

  await test.database.close();
  await untilNoSessions(server);
  assert.deepEqual(unhandled.reasons, []);
});
