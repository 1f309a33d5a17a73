import assert from "node:assert/strict";
import type { DatabaseManager } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { startManager, untilNoSessions, untilState } from "../support/database_support.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";

/** A look at a network that does not answer takes this long. */
const LOOK_MS = 500;
const TIMES = { connectTimeoutMs: LOOK_MS, pingTimeoutMs: LOOK_MS };

/** Also with the next answer of the server, and not only in what it says by itself. */
async function untilReady(database: DatabaseManager): Promise<void> {
  await untilState(database, "connected");
  await eventually(() => database.accessMode === "READ_WRITE");
  await database.query`select 1`;
}

Deno.test("a reset during the first look, which fails, does not end the search", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await proxy.setMode("black-hole");
  const config = { hosts: [proxy.address], ...TIMES };
  await using test = startManager(server, config, { ensureSchema: () => Promise.resolve() });
  await eventually(() => proxy.stats.total >= 1, { what: "the first look is under way" });
  test.database.circuit.reset();
  await proxy.setMode("pass");
  await untilReady(test.database);
});

Deno.test("a reset during a later look, which fails, does not end the search", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await proxy.setMode("close");
  const config = { hosts: [proxy.address], ...TIMES };
  await using test = startManager(server, config, { ensureSchema: () => Promise.resolve() });
  const { database } = test;
  await untilState(database, "disconnected");
  await proxy.setMode("black-hole");
  const { total } = proxy.stats;
  await eventually(() => proxy.stats.total > total, { what: "a later look is under way" });
  database.circuit.reset();
  await proxy.setMode("pass");
  await untilReady(database);
});

Deno.test("a reset before the database was ever reached is no connection", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await proxy.setMode("close");
  // So long is the open time that only the reset can be what begins the next attempt.
  const delays = { retryInitialDelayMs: 3_600_000, retryMaxDelayMs: 3_600_000 };
  const config = { hosts: [proxy.address], ...TIMES, ...delays };
  await using test = startManager(server, config, { random: () => 0.999 });
  const { database } = test;
  await untilState(database, "disconnected");
  await proxy.setMode("pass");
  database.circuit.reset();
  assert.equal(database.state, "connecting");
  assert.equal(database.accessMode, "UNAVAILABLE");
  await untilReady(database);
});

Deno.test("a reset while the database is being prepared loses nothing of that", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await proxy.setMode("close");
  const preparing = Promise.withResolvers<void>();
  const isPrepared = Promise.withResolvers<void>();
  const ensureSchema = () => {
    preparing.resolve();
    return isPrepared.promise;
  };
  await using test = startManager(server, { hosts: [proxy.address] }, { ensureSchema });
  await untilState(test.database, "disconnected");
  await proxy.setMode("pass");
  await preparing.promise;
  test.database.circuit.reset();
  isPrepared.resolve();
  await untilReady(test.database);
});

Deno.test("a stop and a reset at once, during the first look, begin it again", async () => {
  await using server = await startPostgres();
  const preparing = Promise.withResolvers<void>();
  const isAborted = Promise.withResolvers<void>();
  let preparations = 0;
  const ensureSchema = async () => {
    preparing.resolve();
    if (++preparations === 1) await isAborted.promise;
  };
  await using test = startManager(server, {}, { ensureSchema });
  await preparing.promise;
  test.database.circuit.forceOpen("maintenance");
  test.database.circuit.reset();
  isAborted.reject(new Error("as a signal's end"));
  await untilReady(test.database);
  assert.equal(preparations, 2);
});

Deno.test("a reset during the ping that would have noticed a frozen server has it pinged again", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, { ...TIMES, minIdleConnections: 2 });
  const { database } = test;
  await untilState(database, "connected");
  await eventually(() => database.poolStats().idle >= 2);
  await server.freeze();
  await assert.rejects(database.query({ timeoutMs: 50, access: "read" })`select 1`, {
    code: "STATEMENT_TIMEOUT",
  });
  database.circuit.reset();
  await untilState(database, "disconnected");
  await server.resume();
  await untilReady(database);
});

Deno.test("after an operator's stop, connections are kept ready again", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, { minIdleConnections: 2 });
  const { database } = test;
  await eventually(() => database.poolStats().idle >= 2);
  database.circuit.forceOpen("maintenance");
  await untilNoSessions(server);
  database.circuit.reset();
  await eventually(() => database.poolStats().idle >= 2);
});
