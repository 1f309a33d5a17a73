import assert from "node:assert/strict";
import { eventually } from "../support/condition.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import {
  startManager,
  terminateSessions,
  untilRunning,
  untilState,
  watchUnhandled,
} from "../support/database_support.ts";

/** So long that no probe comes in between unless a test waits for it. */
const NO_PROBES = { retryInitialDelayMs: 3_600_000, retryMaxDelayMs: 3_600_000 };

Deno.test("while the circuit is open, calls fail without touching the network", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  const config = { hosts: [proxy.address], ...NO_PROBES };
  await using test = startManager(server, config, { random: () => 0.999 });
  const { database } = test;
  await untilState(database, "connected");
  await proxy.setMode("close");
  proxy.endAll("reset");
  await untilState(database, "disconnected");

  const { total } = proxy.stats;
  const calls = await Promise.allSettled([
    ...Array.from({ length: 500 }, () => database.query`select 1`),
    database.transaction((tx) => tx`select 1`),
    database.withConnection((sql) => sql`select 1`),
    database.ping(),
  ]);
  for (const call of calls) {
    assert.equal(call.status, "rejected");
    assert.equal(call.reason.code, "CIRCUIT_OPEN");
    assert.ok(call.reason.retryAfterMs > 0);
    assert.equal(call.reason.cause, database.outage, "the outage stays visible");
  }
  assert.ok(database.outage?.isOutage);
  assert.equal(proxy.stats.total, total);
  assert.ok(database.circuit.snapshot().rejectedCount >= calls.length);
});

Deno.test("who waits for a connection when the circuit opens fails at once, without a connect", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  const config = { hosts: [proxy.address], maxConnections: 1, ...NO_PROBES };
  await using test = startManager(server, config, { random: () => 0.999 });
  const { database } = test;
  await untilState(database, "connected");
  const running = assert.rejects(database.query`select pg_sleep(600)`, {
    code: "COMMIT_UNKNOWN",
  });
  await untilRunning(server, "pg_sleep");
  const waiting = Array.from({ length: 50 }, () => {
    return assert.rejects(database.query`select 1`, ({ code }: { code: string }) => {
      return ["CIRCUIT_OPEN", "CONNECTION_LOST", "COMMIT_UNKNOWN"].includes(code);
    });
  });
  const { total } = proxy.stats;
  await proxy.setMode("close");
  proxy.endAll("reset");
  await Promise.all([running, ...waiting]);
  assert.equal(database.state, "disconnected");
  // As many as it takes to open it, by calls and by the ping; not one for each of 50 callers.
  assert.ok(proxy.stats.total - total <= 10, `${proxy.stats.total - total} connects`);
});

Deno.test("the first caller after an outage succeeds, with the pool warm", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, { minIdleConnections: 3 });
  const { database } = test;
  await untilState(database, "connected");
  for (let restart = 0; restart < 3; restart++) {
    await server.stop("immediate");
    await untilState(database, "disconnected");
    const { promise, resolve } = Promise.withResolvers<number>();
    const unsubscribe = database.onStateChange(({ state }) => {
      if (state === "connected") resolve(database.poolStats().idle);
    });
    await server.start();
    assert.ok(await promise >= 3, "idle connections when it says connected");
    assert.deepEqual([...await database.query`select 1 as one`], [{ one: 1 }]);
    unsubscribe();
  }
});

Deno.test("an outage under load costs one probe at a time", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  // Full jitter at its middle: probes after 25, 50, 100, 200, 200 ms.
  const delays = { retryInitialDelayMs: 50, retryMaxDelayMs: 400 };
  const config = { hosts: [proxy.address], minIdleConnections: 3, ...delays };
  await using test = startManager(server, config, { random: () => 0.5 });
  const { database } = test;
  await untilState(database, "connected");
  await proxy.setMode("close");
  proxy.endAll("reset");
  await untilState(database, "disconnected");

  const { total } = proxy.stats;
  const { transitionCount } = database.circuit.snapshot();
  let calls = 0;
  await eventually(async () => {
    await Promise.allSettled(Array.from({ length: 100 }, () => database.query`select 1`));
    calls += 100;
    return proxy.stats.total - total >= 12 && calls > 300;
  }, { what: "several probes were made, under load" });
  const probes = Math.ceil((database.circuit.snapshot().transitionCount - transitionCount) / 2);
  // A connect that the server ends may be tried once more by the ping, and as many as are kept
  // ready can have been on their way when the circuit opened.
  assert.ok(proxy.stats.total - total <= 2 * (probes + 1) + config.minIdleConnections);

  await proxy.setMode("pass");
  await untilState(database, "connected");
  await database.query`select 1`;
});

Deno.test("a frozen server is noticed by the ping after the first statement that timed out", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  await using test = startManager(server, { pingTimeoutMs: 300, connectTimeoutMs: 300 });
  const { database } = test;
  await untilState(database, "connected");
  await server.freeze();
  await assert.rejects(database.query({ timeoutMs: 50 })`select 1`, { code: "COMMIT_UNKNOWN" });
  await untilState(database, "disconnected");
  await assert.rejects(database.query`select 1`, { code: "CIRCUIT_OPEN" });
  await server.resume();
  await untilState(database, "connected");
  await database.query`select 1`;
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("a frozen server is noticed though every connection hangs in a statement", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, {
    maxConnections: 2,
    minIdleConnections: 2,
    pingTimeoutMs: 1_000,
    connectTimeoutMs: 300,
  });
  const { database } = test;
  await untilState(database, "connected");
  // Only the recovery's connects are repeated: a slow machine may need longer than the limit.
  await eventually(() => database.poolStats().idle === 2);
  const hanging = [1, 2].map(() =>
    assert.rejects(database.query`select pg_sleep(600)`, { code: "COMMIT_UNKNOWN" })
  );
  await eventually(() => database.poolStats().inUse === 2);
  await assert.rejects(database.ping(), { code: "ACQUIRE_TIMEOUT" });
  assert.equal(database.state, "connected", "a busy pool is no outage");

  await server.freeze();
  // As health checks do: the look after the first ping can have come before the freeze.
  await eventually(async () => {
    await assert.rejects(database.ping());
    return database.state === "disconnected";
  }, { what: "the freeze is noticed" });
  assert.match(database.outage?.code ?? "", /^(CONNECT|PING)_TIMEOUT$/);

  await server.resume();
  await untilState(database, "connected");
  assert.equal(database.poolStats().inUse, 2);
  await assert.rejects(database.ping(), { code: "ACQUIRE_TIMEOUT" });
  await database.close({ timeoutMs: 0 });
  await Promise.all(hanging);
});

Deno.test("statements that hang in a silent network occupy only their own connections", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await using test = startManager(server, { hosts: [proxy.address], maxConnections: 2 });
  const { database } = test;
  await untilState(database, "connected");
  const hanging = assert.rejects(database.query`select pg_sleep(600)`, {
    code: "COMMIT_UNKNOWN",
  });
  await untilRunning(server, "pg_sleep");
  const release = Promise.withResolvers<void>();
  const holder = database.withConnection(() => release.promise);
  await eventually(() => database.poolStats().inUse === 2);
  proxy.silence();
  await assert.rejects(database.ping({ timeoutMs: 300 }), { code: "ACQUIRE_TIMEOUT" });
  assert.equal(database.state, "connected", "a busy pool is no outage");

  // One connection comes back, and nothing comes back on it.
  release.resolve();
  await holder;
  await assert.rejects(database.query({ timeoutMs: 50 })`select 1`, { code: "COMMIT_UNKNOWN" });
  // New connections get through, and one place is enough for them.
  assert.deepEqual([...await database.query`select 1 as one`], [{ one: 1 }]);
  await database.close({ timeoutMs: 0 });
  await hanging;
});

const LOSSES: readonly (readonly [string, (server: TestPostgres) => Promise<void>])[] = [
  ["the server was started again", async (server) => {
    await server.kill();
    await server.start();
  }],
  ["the server has ended them", (server) => terminateSessions(server)],
];
for (const [what, lose] of LOSSES) {
  Deno.test(`places of statements in sessions that are lost without a word are free again: ${what}`, async () => {
    await using server = await startPostgres();
    await using proxy = await FaultProxy.start(server.database);
    await using test = startManager(server, {
      hosts: [proxy.address],
      maxConnections: 2,
      pingTimeoutMs: 1_000,
    });
    const { database } = test;
    await untilState(database, "connected");
    const lost = [1, 2].map(() =>
      assert.rejects(database.query`select pg_sleep(600)`, { code: "COMMIT_UNKNOWN" })
    );
    await eventually(() => database.poolStats().inUse === 2);
    await untilRunning(server, "pg_sleep");
    proxy.silence();
    await lose(server);
    // As health checks do.
    await eventually(async () => (await database.ping()).accessMode === "READ_WRITE", {
      what: "the database can be used again",
    });
    await Promise.all(lost);
  });
}

Deno.test("an operator stops all use of the database, and ends that", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, { minIdleConnections: 2 });
  const { database } = test;
  await untilState(database, "connected");
  database.circuit.forceOpen("restoring a backup");
  assert.equal(database.state, "disconnected");
  assert.equal(database.accessMode, "UNAVAILABLE");
  await assert.rejects(database.query`select 1`, { code: "CIRCUIT_OPEN" });
  assert.equal(database.outage?.code, "STOPPED_BY_OPERATOR");
  assert.match(database.outage.message, /restoring a backup/);
  assert.equal(database.circuit.snapshot().nextProbeInMs, undefined, "nobody looks for it");
  await eventually(
    async () => database.poolStats().connecting === 0 && await server.sessions() === 0,
    { what: "nothing is kept idle" },
  );

  database.circuit.reset();
  assert.equal(database.state, "connected");
  await database.query`select 1`;
  assert.deepEqual(test.events, ["database.connected", "database.lost", "database.recovered"]);
});

Deno.test("an operator who resets during an outage is corrected by a ping", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, NO_PROBES, { random: () => 0.999 });
  const { database } = test;
  await untilState(database, "connected");
  await server.stop();
  await untilState(database, "disconnected");
  database.circuit.reset();
  assert.equal(database.state, "connected");
  await untilState(database, "disconnected");

  await server.start();
  database.circuit.reset();
  await database.query`select 1`;
  await database.ping();
  assert.equal(database.state, "connected");
});

Deno.test("answers of the database never open the circuit", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, { circuitFailureThreshold: 1 });
  const { database } = test;
  await untilState(database, "connected");
  await database.query`create table account (id int primary key)`;
  await database.query`insert into account values (1)`;
  for (let attempt = 0; attempt < 30; attempt++) {
    await assert.rejects(database.query`insert into account values (1)`, {
      code: "UNIQUE_VIOLATION",
    });
    await assert.rejects(database.query`select 1/0`, { code: "QUERY_FAILED" });
    await assert.rejects(database.withConnection(() => Promise.reject(new Error("own"))), /own/);
  }
  const { window, consecutiveFailures, state } = database.circuit.snapshot();
  assert.deepEqual([window.failures, consecutiveFailures, state], [0, 0, "closed"]);
});
