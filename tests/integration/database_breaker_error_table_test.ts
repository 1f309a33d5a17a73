import assert from "node:assert/strict";
import { inspect } from "node:util";
import { Secret } from "../../src/config/mod.ts";
import { eventually } from "../support/condition.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";
import { startManager, untilState } from "../support/database_support.ts";

// Specification 001, "Error Handling": one test for each row of its table.

Deno.test("connection refused: backoff and retry, with increasing delays", async () => {
  await using server = await startPostgres();
  await server.stop();
  const delays = { retryInitialDelayMs: 10, retryMaxDelayMs: 80 };
  await using test = startManager(server, delays, { random: () => 1 });
  const { database } = test;
  const openedAt: number[] = [];
  database.circuit.onTransition(({ to, atMs }) => {
    if (to === "open") openedAt.push(atMs);
  });
  await eventually(() => openedAt.length >= 7, { what: "seven attempts have failed" });
  for (const [index, delayMs] of [10, 20, 40, 80, 80, 80].entries()) {
    const waitedMs = openedAt[index + 1]! - openedAt[index]!;
    // Less what a sum of floating-point numbers can be off.
    assert.ok(waitedMs > delayMs - 0.001, `attempt ${index + 2} came after ${waitedMs} ms`);
  }
  assert.equal(database.outage?.code, "CONNECTION_REFUSED");

  await server.start();
  await untilState(database, "connected");
  // While the server starts it refuses in words of its own, which is news.
  assert.deepEqual([...new Set(test.events)], ["database.connect_failed", "database.connected"]);
});

Deno.test("authentication failed: fail fast, no hammering, and a rotated password is picked up", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  const passwordFile = await Deno.makeTempFile();
  await Deno.writeTextFile(passwordFile, "wrong-password-of-this-test");
  try {
    await using test = startManager(server, {
      hosts: [proxy.address],
      password: new Secret("wrong-password-of-this-test"),
      passwordFile,
      retryInitialDelayMs: 1,
      retryMaxDelayMs: 2,
      authRetryDelayMs: 1_000,
    });
    const { database } = test;
    await untilState(database, "disconnected");
    assert.ok(proxy.stats.total <= 2, "a slow machine may have come to the second look");
    const looks = () => database.circuit.snapshot().transitionCount;
    const [totalBefore, looksBefore] = [proxy.stats.total, looks()];
    for (let call = 0; call < 100; call++) {
      await assert.rejects(database.query`select 1`, { code: "CIRCUIT_OPEN", retryable: true });
      await assert.rejects(database.ping(), { code: "CIRCUIT_OPEN" });
    }
    assert.ok(proxy.stats.total - totalBefore <= looks() - looksBefore, "no call has connected");
    assert.equal(database.outage?.code, "AUTHENTICATION_FAILED");
    await eventually(() => (database.circuit.snapshot().nextProbeInMs ?? 0) > 10, {
      what: "it waits for the slow check",
    });

    await Deno.writeTextFile(passwordFile, server.database.password);
    await untilState(database, "connected");
    await database.query`select 1`;
    assert.deepEqual(test.events, ["database.connect_failed", "database.connected"]);
    assert.doesNotMatch(inspect(test.logged, { depth: 20, showHidden: true }), /wrong-password/);
  } finally {
    await Deno.remove(passwordFile);
  }
});

Deno.test("pool exhausted: queue, then reject; the circuit stays closed", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, {
    maxConnections: 1,
    acquireQueueLimit: 2,
    acquireTimeoutMs: 100,
    circuitFailureThreshold: 1,
  });
  const { database } = test;
  await untilState(database, "connected");
  const release = Promise.withResolvers<void>();
  const holder = database.withConnection(() => release.promise);
  await eventually(() => database.poolStats().inUse === 1);
  const queued = [1, 2].map(() => {
    return assert.rejects(database.query`select 1`, { code: "ACQUIRE_TIMEOUT", retryable: true });
  });
  await assert.rejects(database.query`select 1`, { code: "QUEUE_FULL", retryable: true });
  await Promise.all(queued);
  assert.equal(database.circuit.state, "closed");
  assert.equal(database.circuit.snapshot().window.failures, 0);
  release.resolve();
  await holder;
  await database.query`select 1`;
});

Deno.test("query timeout: cancelled on the server, without opening the circuit", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, { circuitFailureThreshold: 1, maxConnections: 1 });
  const { database } = test;
  await untilState(database, "connected");
  const slow = assert.rejects(database.query({ timeoutMs: 300 })`select pg_sleep(600)`, {
    code: "STATEMENT_TIMEOUT",
    retryable: true,
  });
  await slow;
  const running = await server.admin(
    "select from pg_stat_activity where usename = $1 and state = 'active' and query like '%pg_sleep%'",
    [server.database.user],
  );
  assert.equal(running.length, 0);
  await database.ping();
  assert.equal(database.circuit.state, "closed");
  assert.equal(database.poolStats().openedCount, 1, "the connection goes on being used");
});

Deno.test("network partition: the circuit opens, probes periodically, and closes again", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await using test = startManager(server, {
    hosts: [proxy.address],
    connectTimeoutMs: 100,
    pingTimeoutMs: 200,
  });
  const { database } = test;
  await untilState(database, "connected");
  await proxy.setMode("black-hole");
  proxy.silence();
  await assert.rejects(database.ping(), { code: "PING_TIMEOUT" });
  assert.equal(database.state, "disconnected");
  await assert.rejects(database.query`select 1`, { code: "CIRCUIT_OPEN" });
  const { total } = proxy.stats;
  await eventually(() => proxy.stats.total >= total + 3, { what: "three probes were made" });
  assert.equal(database.outage?.code, "CONNECT_TIMEOUT");

  proxy.resume();
  await proxy.setMode("pass");
  await untilState(database, "connected");
  await database.query`select 1`;
});
