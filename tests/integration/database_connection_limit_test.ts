import assert from "node:assert/strict";
import { startManager, untilState } from "../support/database_support.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres } from "../support/postgres.ts";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { PostgreSQLChecker } from "../../src/health/mod.ts";

const LIMIT = 3;

Deno.test("if the server allows fewer connections than the pool, callers share those", async () => {
  await using server = await startPostgres();
  await server.admin(`alter role ${server.database.user} connection limit ${LIMIT}`);
  await using test = startManager(server, { maxConnections: 10, acquireTimeoutMs: 30_000 });
  const { database } = test;
  await untilState(database, "connected");
  const checker = new PostgreSQLChecker({ database });

  const callers = Array.from({ length: 60 }, () => database.query`select pg_sleep(0.02)`);
  const check = checker.check(new AbortController().signal);
  await Promise.all(callers);
  const { openFailedCount, openedCount } = database.poolStats();
  assert.ok(openFailedCount > 0, "the limit was met");
  assert.ok(openedCount >= LIMIT);
  const health = await check;
  assert.equal(health.status, ServiceStatus.HEALTHY, health.message);
  assert.ok(test.events.includes("database.open_refused"));
});

Deno.test("where the server has no connection left at all, callers are told so", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, { maxIdleConnections: 0 });
  const { database } = test;
  await untilState(database, "connected");
  await server.admin(`alter role ${server.database.user} connection limit 0`);
  await eventually(() => database.poolStats().open === 0);
  await assert.rejects(database.query`select 1`, { code: "TOO_MANY_CONNECTIONS" });
});
