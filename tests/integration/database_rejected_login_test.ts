import assert from "node:assert/strict";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { PostgreSQLChecker } from "../../src/health/mod.ts";
import { eventually } from "../support/condition.ts";
import { startManager, terminateSessions, untilState } from "../support/database_support.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const QUIET_S = 0.5;
/** Whatever does not wait for the long delay comes dozens of times while it is to be quiet. */
const DELAYS = { retryInitialDelayMs: 10, retryMaxDelayMs: 20, authRetryDelayMs: 3_000 };

async function setPassword(server: TestPostgres, password: string): Promise<void> {
  await server.admin(`alter role ${server.database.user} password '${password}'`);
}

/** Waits for a time without a login through the proxy. */
async function untilQuiet(server: TestPostgres, proxy: FaultProxy): Promise<void> {
  await eventually(async () => {
    const { total } = proxy.stats;
    await server.admin(`select pg_sleep(${QUIET_S})`);
    return proxy.stats.total === total;
  }, { what: `nobody logs in for ${QUIET_S} s` });
}

Deno.test("connections that are kept ready do not hammer a server that rejects their login", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  const config = { hosts: [proxy.address], minIdleConnections: 3, ...DELAYS };
  await using test = startManager(server, config);
  const { database } = test;
  await eventually(() => database.poolStats().idle >= 3);

  await setPassword(server, "another");
  await terminateSessions(server);
  await eventually(() => database.outage?.code === "AUTHENTICATION_FAILED");
  await untilQuiet(server, proxy);

  await setPassword(server, server.database.password);
  await untilState(database, "connected");
  await eventually(() => database.poolStats().idle >= 3);
});

Deno.test("a connection that is kept ready and cannot be replaced is not missed every moment", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  const kept = { minIdleConnections: 2, maxIdleConnections: 2 };
  const config = { hosts: [proxy.address], ...kept, ...DELAYS };
  await using test = startManager(server, config);
  const { database } = test;
  await eventually(() => database.poolStats().idle >= 2);

  await setPassword(server, "another");
  await database.withConnection(async () => {
    await eventually(() => database.poolStats().openFailedCount > 0);
    await untilQuiet(server, proxy);
  });
  await database.query`select 1`;
});

Deno.test("the wait for a read-only server's writes does not hammer one that rejects its login", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  const setting = `alter role ${server.database.user} set default_transaction_read_only`;
  await server.admin(`${setting} = on`);
  await using test = startManager(server, { hosts: [proxy.address], ...DELAYS });
  const { database } = test;
  await eventually(() => database.accessMode === "READ_ONLY");

  await setPassword(server, "another");
  await untilQuiet(server, proxy);
  await database.query`select 1`;

  await setPassword(server, server.database.password);
  await server.admin(`${setting} = off`);
  await eventually(() => database.accessMode === "READ_WRITE");
});

Deno.test("callers do not retry a rejected login while open connections work", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await using test = startManager(server, { hosts: [proxy.address], ...DELAYS });
  const { database } = test;
  await untilState(database, "connected");
  await setPassword(server, "another");
  let succeeded = 0;
  let isOver = false;
  const callers = Array.from({ length: 4 }, async () => {
    for (; !isOver; succeeded++) await database.query`select pg_sleep(0.002)`;
  });
  await using _callers = {
    async [Symbol.asyncDispose]() {
      isOver = true;
      await Promise.all(callers);
    },
  };

  await eventually(() => database.poolStats().openFailedCount > 0);
  await untilQuiet(server, proxy);
  assert.ok(test.events.includes("database.open_refused"));
  const before = succeeded;
  await eventually(() => succeeded > before + 20, { what: "the open connection goes on working" });
  assert.equal(database.connectError?.code, "AUTHENTICATION_FAILED");
  const { status, message } = await new PostgreSQLChecker({ database }).check(
    new AbortController().signal,
  );
  assert.equal(status, ServiceStatus.HEALTHY);
  assert.match(message, /new connections fail: AUTHENTICATION_FAILED/);

  await setPassword(server, server.database.password);
  await eventually(() => !database.connectError, { what: "connections are opened again" });
});
