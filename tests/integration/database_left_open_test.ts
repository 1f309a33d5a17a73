import assert from "node:assert/strict";
import type { DatabaseManager } from "../../src/database/mod.ts";
import { startManager, type TestManager, untilState } from "../support/database_support.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { pgBouncerTest, startPgBouncer } from "../support/pgbouncer.ts";
import { createDatabase, startPostgres, type TestDatabase } from "../support/postgres.ts";

/** Each begins a transaction by hand and ends without it. */
const LEAVES_OPEN: readonly ((database: DatabaseManager) => PromiseLike<unknown>)[] = [
  function oneStatement(database) {
    return database.query`begin`;
  },
  function oneStatementInTime(database) {
    return database.query({ timeoutMs: 60_000 })`begin`;
  },
  function anInsert(database) {
    return database.withConnection(async (sql) => {
      await sql`begin`;
      await sql`insert into entry values (1)`;
    });
  },
  function nobodyWaitsFor(database) {
    return database.withConnection((sql) => {
      void sql`begin`.then();
      void sql`insert into entry values (1)`.then();
    });
  },
  function aStatementThatFails(database) {
    return database.withConnection(async (sql) => {
      await sql`begin`;
      await sql`insert into entry values (1)`;
      await sql`select 1/0`.catch(() => {});
    });
  },
  function aChain(database) {
    return database.withConnection(async (sql) => {
      await sql`begin`;
      await sql`commit and chain`;
      await sql`insert into entry values (1)`;
    });
  },
  function aStream(database) {
    return database.withConnection(async (sql) => {
      await sql`begin`;
      for await (const _rows of sql.stream({ batch: 10 })`select generate_series(1, 100)`) break;
    });
  },
  function aStreamThatNobodyEnds(database) {
    return database.withConnection(async (sql) => {
      const batches = sql.stream({ batch: 10 })`select generate_series(1, 100)`;
      await batches[Symbol.asyncIterator]().next();
    });
  },
  function manyRows(database) {
    return database.withConnection(async (sql) => {
      await sql`begin`;
      await sql`select repeat('I', 100) from generate_series(1, 10000)`;
    });
  },
];

/** None has a transaction open at its end, whatever its results look like. */
const LEAVES_NOTHING: readonly ((database: DatabaseManager) => PromiseLike<unknown>)[] = [
  (database) =>
    database.withConnection(async (sql) => {
      await sql`begin`;
      await sql`select 1`;
      await sql`commit`;
    }),
  (database) => database.transaction((tx) => tx`select 1`),
  (database) => database.query`select repeat('T', 8192 - n) from generate_series(1, 100) as n`,
  (database) => database.query`do $$ begin raise notice 'T'; end $$`,
  (database) => database.query`select 1/0`.catch(() => {}),
  (database) => database.transaction((tx) => tx`select 1/0`).catch(() => {}),
  (database) =>
    database.withConnection(async (sql) => {
      for await (const _rows of sql.stream({ batch: 10 })`select generate_series(1, 100)`) break;
    }),
  (database) =>
    database.withConnection(async (sql) => {
      await sql`listen channel`;
      await sql`select pg_notify('channel', 'T')`;
      await sql`unlisten channel`;
    }),
];

for (const leave of LEAVES_OPEN) {
  Deno.test(`a transaction left open does not affect the next caller: ${leave.name}`, async () => {
    await using server = await createDatabase();
    await using test = await startWithTable(server);
    await refusesToLeaveOpen(server, test, leave);
  });
}

Deno.test("an operation that ends its transaction keeps its connection", async () => {
  await using server = await createDatabase();
  await using test = await startWithTable(server);
  const { openedCount } = test.database.poolStats();
  for (const run of LEAVES_NOTHING) await run(test.database);
  assert.equal(test.database.poolStats().openedCount, openedCount);
  assert.equal(test.events.includes("database.transaction_left_open"), false);
});

Deno.test("a transaction left open is seen when every byte comes alone", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  // Byte by byte everything takes long.
  const patience = { acquireTimeoutMs: 60_000, connectTimeoutMs: 60_000, pingTimeoutMs: 60_000 };
  await using test = await startWithTable(server, { hosts: [proxy.address], ...patience });
  proxy.shape({ trickle: true });
  const { openedCount } = test.database.poolStats();
  for (let turn = 0; turn < 10; turn++) await test.database.query`select 'T'`;
  assert.equal(test.database.poolStats().openedCount, openedCount);
  const names = ["aStream", "aStreamThatNobodyEnds", "aStatementThatFails"];
  for (const leave of LEAVES_OPEN.filter(({ name }) => names.includes(name))) {
    await assert.rejects(
      Promise.resolve(leave(test.database)),
      { code: "INVALID_USE" },
      leave.name,
    );
  }
});

pgBouncerTest("a transaction left open is seen through a pooler", async () => {
  await using server = await startPostgres();
  await using bouncer = await startPgBouncer(server, "transaction");
  await using test = await startWithTable(server, bouncer.config());
  await refusesToLeaveOpen(server, test, async (database) => {
    await database.withConnection(async (sql) => {
      await sql`begin`;
      await sql`insert into entry values (1)`;
    });
  });
});

/** A manager with one connection, and the table `entry`. */
async function startWithTable(
  server: TestDatabase,
  config: Parameters<typeof startManager>[1] = {},
): Promise<TestManager> {
  const test = startManager(server, { ...config, maxConnections: 1 });
  await untilState(test.database, "connected");
  await test.database.query`create table entry (id int)`;
  return test;
}

async function refusesToLeaveOpen(
  server: TestDatabase,
  test: TestManager,
  leave: (database: DatabaseManager) => PromiseLike<unknown>,
): Promise<void> {
  const { database } = test;
  await assert.rejects(Promise.resolve(leave(database)), {
    code: "INVALID_USE",
    message: /left a transaction open.*transaction\(\)/,
  });
  await database.query`insert into entry values (2)`;
  assert.deepEqual(await server.admin("select id from entry"), [{ id: 2 }]);
  const logged = test.events.filter((event) => event === "database.transaction_left_open");
  assert.equal(logged.length, 1);
  await database.ping();
  assert.equal(database.circuit.state, "closed");
}
