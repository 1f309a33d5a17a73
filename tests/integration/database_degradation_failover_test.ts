import assert from "node:assert/strict";
import type { DatabaseManager } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";
import { type ReplicationPair, startReplicationPair } from "../support/replication.ts";
import {
  startManager,
  type TestManager,
  untilState,
  watchUnhandled,
} from "../support/database_support.ts";

async function untilMode(database: DatabaseManager, mode: DatabaseManager["accessMode"]) {
  await eventually(() => database.accessMode === mode, { what: `the access mode is ${mode}` });
}

/** A service that takes whichever host of the pair is the primary, and reads from the standby. */
async function startPairManager(pair: ReplicationPair): Promise<TestManager> {
  const { host, port } = pair.standby.database;
  const test = startManager(pair.primary, {
    hosts: pair.hosts,
    targetSessionAttrs: "read-write",
    readHosts: [{ host, port }],
  });
  await untilMode(test.database, "READ_WRITE");
  await test.database.query`create table account (id int primary key)`;
  await test.database.query`insert into account values (1)`;
  await pair.waitForReplay();
  return test;
}

const count = (database: DatabaseManager) =>
  database.query({ access: "read" })<{ n: number }>`select count(*)::int as n from account`;

Deno.test("the primary is killed: reads continue, writes fail; the standby is promoted: writes succeed", async () => {
  await using pair = await startReplicationPair();
  using unhandled = watchUnhandled();
  await using test = await startPairManager(pair);
  const { database } = test;
  const changes: string[] = [];
  database.onStateChange(({ state, accessMode }) => changes.push(`${state} ${accessMode}`));

  await pair.primary.kill();
  await untilMode(database, "READ_ONLY");
  assert.ok(database.outage?.isOutage);
  assert.deepEqual([...await count(database)], [{ n: 1 }]);
  const rows = await database.transaction((tx) => tx`select id from account`, { readOnly: true });
  assert.equal(rows.length, 1);
  for (
    const write of [
      () => database.query`insert into account values (2)`,
      () => database.query({ access: "write" })`insert into account values (2)`,
      () => database.withConnection((sql) => sql`insert into account values (2)`),
      () => database.transaction((tx) => tx`insert into account values (2)`),
    ]
  ) {
    await assert.rejects(write(), { code: "READ_ONLY" });
  }
  // Even what pretends to read cannot write there.
  await assert.rejects(database.query({ access: "read" })`insert into account values (2)`, {
    code: "READ_ONLY",
  });

  await pair.promote();
  await untilMode(database, "READ_WRITE");
  await database.query`insert into account values (2)`;
  assert.deepEqual([...await count(database)], [{ n: 2 }]);
  // The read host may have been found after the primary was lost.
  const modes = changes.filter((change) => !change.endsWith("UNAVAILABLE"));
  assert.deepEqual(modes, ["disconnected READ_ONLY", "connected READ_WRITE"]);
  assert.deepEqual(test.events.filter((event) => event.includes("read")), [
    "database.read_only",
    "database.read_write",
  ]);
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("the primary comes back by itself: writes go on", async () => {
  await using pair = await startReplicationPair();
  await using test = await startPairManager(pair);
  const { database } = test;
  await pair.primary.stop("fast");
  await untilMode(database, "READ_ONLY");
  await pair.primary.start();
  await untilMode(database, "READ_WRITE");
  await database.query`insert into account values (2)`;
});

Deno.test("a switchover: the old primary comes back as a standby, and is not written to", async () => {
  await using pair = await startReplicationPair();
  await using test = await startPairManager(pair);
  const { database } = test;
  await pair.primary.stop("fast");
  await untilMode(database, "READ_ONLY");
  await pair.promote();
  await untilMode(database, "READ_WRITE");
  // First in the list, and in recovery.
  await pair.rejoin();
  const [row] = await database.query<{ recovery: boolean; port: number }>`
    select pg_is_in_recovery() as recovery, inet_server_port() as port
  `;
  assert.deepEqual({ ...row }, { recovery: false, port: pair.standby.database.port });
  await database.query`insert into account values (2)`;
});

Deno.test("with DB_HOST alone: the standby serves reads, and writes after its promotion", async () => {
  await using pair = await startReplicationPair();
  await using test = startManager(pair.primary, { hosts: pair.hosts });
  const { database } = test;
  await untilMode(database, "READ_WRITE");
  await database.query`create table account (id int primary key)`;
  await pair.waitForReplay();

  await pair.primary.kill();
  await untilMode(database, "READ_ONLY");
  assert.equal(database.state, "connected");
  assert.deepEqual([...await count(database)], [{ n: 0 }]);
  const insert = () => database.transaction((tx) => tx`insert into account values (1)`);
  await assert.rejects(insert(), { code: "READ_ONLY" });

  await pair.promote();
  await untilMode(database, "READ_WRITE");
  await insert();
  // First in the list again, and in recovery: no session may go there.
  await pair.rejoin();
  await Promise.all(Array.from({ length: 5 }, async () => {
    await database.query`insert into account select 2 + count(*) from account, pg_sleep(0.1)
      on conflict do nothing`;
  }));
  assert.equal(database.accessMode, "READ_WRITE");
});

Deno.test("while the primary is looked for at the start, a write waits for it", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  proxy.shape({ latencyMs: 3_000 });
  const { host, port } = server.database;
  await using test = startManager(server, {
    hosts: [proxy.address],
    readHosts: [{ host, port }],
    connectTimeoutMs: 60_000,
    acquireTimeoutMs: 60_000,
  });
  const { database } = test;
  await untilMode(database, "READ_ONLY");
  assert.equal(database.state, "connecting");
  await Promise.all([
    database.transaction((tx) => tx`create table x ()`),
    // Served by the read host meanwhile.
    database.query({ access: "read" })`select 1`.then(() => proxy.shape({})),
  ]);
  await untilMode(database, "READ_WRITE");
});

Deno.test("no server is left: all calls fail, until either one is back", async () => {
  await using pair = await startReplicationPair();
  await using test = await startPairManager(pair);
  const { database } = test;
  await pair.primary.kill();
  await untilMode(database, "READ_ONLY");
  await pair.standby.kill();
  await untilMode(database, "UNAVAILABLE");
  await assert.rejects(count(database), { code: "CIRCUIT_OPEN" });
  await assert.rejects(database.query`select 1`, { code: "CIRCUIT_OPEN" });

  await pair.standby.start();
  await untilMode(database, "READ_ONLY");
  assert.deepEqual([...await count(database)], [{ n: 1 }]);
  await pair.primary.start();
  await untilMode(database, "READ_WRITE");
});

Deno.test("a service that starts without its primary serves reads", async () => {
  await using pair = await startReplicationPair();
  await pair.primary.stop();
  const { host, port } = pair.standby.database;
  await using test = startManager(pair.primary, { readHosts: [{ host, port }] });
  await untilMode(test.database, "READ_ONLY");
  await untilState(test.database, "disconnected");
  const [row] = await test.database.query({ access: "read" })<{ one: number }>`select 1 as one`;
  assert.equal(row?.one, 1);
  const { accessMode } = await test.database.ping();
  assert.equal(accessMode, "READ_ONLY", "a ping asks who is there");
});

Deno.test("a read host that is promoted still takes no write", async () => {
  await using pair = await startReplicationPair();
  const { host, port } = pair.standby.database;
  await using test = startManager(pair.primary, { readHosts: [{ host, port }] });
  const { database } = test;
  await untilMode(database, "READ_WRITE");
  await database.query`create table account (id int)`;
  await pair.waitForReplay();
  await pair.primary.kill();
  await untilMode(database, "READ_ONLY");
  await pair.promote();
  await assert.rejects(database.query({ access: "read" })`insert into account values (1)`, {
    code: "READ_ONLY",
  });
  assert.deepEqual([...await count(database)], [{ n: 0 }]);
});

Deno.test("a standby in the place of the primary: reads only, until it is promoted", async () => {
  await using pair = await startReplicationPair();
  // The standby takes any role, as one address in front of a cluster would.
  await using test = startManager(pair.standby);
  const { database } = test;
  await untilMode(database, "READ_ONLY");
  assert.equal(database.state, "connected");
  assert.equal((await database.query`select 1`).length, 1);
  await assert.rejects(database.transaction((tx) => tx`create table x ()`), { code: "READ_ONLY" });
  await pair.primary.stop();
  await pair.promote();
  await untilMode(database, "READ_WRITE");
  await database.query`create table x ()`;
});
