import assert from "node:assert/strict";
import type { PoolStats } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { startManager, untilState } from "../support/database_support.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";

Deno.test("after a restart that idle connections did not hear of, one lost call drops all of them", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await using test = startManager(server, { hosts: [proxy.address], pingTimeoutMs: 100 });
  const { database } = test;
  const callers = () => Array.from({ length: 5 }, () => database.query`select 1`);
  await untilState(database, "connected");
  await Promise.all(callers());
  await eventually(() => database.poolStats().idle === 5);
  const { reset } = database.poolStats().closedCount;

  // The recovery may open new ones before anybody else could look.
  let atLoss: PoolStats | undefined;
  database.onStateChange(({ state }) => {
    if (state === "disconnected") atLoss = database.poolStats();
  });
  proxy.silence();
  await server.kill();
  await server.start();
  await assert.rejects(database.query({ access: "read", timeoutMs: 50 })`select 1`, {
    code: "STATEMENT_TIMEOUT",
  });
  const { idle, closedCount } = await eventually(() => atLoss, { what: "the loss is noticed" });
  // All but the call's and that of the ping after it.
  assert.deepEqual({ idle, dropped: closedCount.reset - reset }, { idle: 0, dropped: 3 });

  await untilState(database, "connected");
  await Promise.all(callers());
});
