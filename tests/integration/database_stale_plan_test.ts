import assert from "node:assert/strict";
import { connect } from "../../src/database/connection/connect.ts";
import type { Connection } from "../../src/database/connection/connection.ts";
import type { Sql } from "../../src/database/mod.ts";
import { startManager, untilState, watchUnhandled } from "../support/database_support.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

/** Prepared, and made stale by {@linkcode changeTable}. */
const STALE: readonly ((sql: Sql) => PromiseLike<readonly object[]>)[] = [
  (sql) => sql`select * from entry`,
  (sql) => sql`select * from entry where id = ${1}`,
];
const NEIGHBOURS: readonly ((sql: Sql) => PromiseLike<readonly object[]>)[] = [
  (sql) => sql`select 7 as number`,
  (sql) => sql`select ${7}::int as number`,
  (sql) => sql.unsafe("select 7 as number"),
  (sql) => sql.unsafe("select $1::int as number", [7], { prepare: true }),
];
const ROWS = { stale: [{ id: 1, more: null }], neighbour: [{ number: 7 }] };

async function changeTable(server: TestDatabase): Promise<void> {
  await server.admin("alter table entry add column more int");
}

/** A connection on which the statement is prepared for the table as it was. */
async function connectStale(
  server: TestDatabase,
  stale: (sql: Sql) => PromiseLike<unknown>,
): Promise<Connection> {
  await server.admin("drop table if exists entry");
  await server.admin("create table entry as select 1 as id");
  await server.admin(`grant all on entry to "${server.database.user}"`);
  const connection = await connect(server.config());
  await stale(connection.sql);
  await changeTable(server);
  return connection;
}

/** A statement has its own rows, or it was lost with the connection. */
function assertOwnRows(
  connection: Connection,
  end: PromiseSettledResult<readonly object[]>,
  rows: readonly object[],
): void {
  if (end.status === "fulfilled") return assert.deepEqual([...end.value], rows);
  assert.equal((connection.explain(end.reason) as { code?: string }).code, "CONNECTION_LOST");
}

Deno.test("a statement whose plan is stale gives its rows when it is alone", async () => {
  await using server = await createDatabase();
  for (const stale of STALE) {
    await using connection = await connectStale(server, stale);
    assert.deepEqual([...await stale(connection.sql)], ROWS.stale);
    assert.equal(connection.closed, false);
  }
});

Deno.test("beside a statement whose plan is stale nothing gets another's rows", async () => {
  await using server = await createDatabase();
  using unhandled = watchUnhandled();
  for (const stale of STALE) {
    for (const neighbour of NEIGHBOURS) {
      await using connection = await connectStale(server, stale);
      const { sql } = connection;
      const statements = [stale(sql), neighbour(sql), neighbour(sql)];
      const [first, ...others] = await Promise.allSettled(statements);
      assertOwnRows(connection, first!, ROWS.stale);
      for (const other of others) assertOwnRows(connection, other, ROWS.neighbour);
    }
  }
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("while a statement is sent again nothing else is sent", async () => {
  await using server = await createDatabase();
  for (const stale of STALE) {
    for (const neighbour of NEIGHBOURS) {
      await using connection = await connectStale(server, stale);
      const { sql } = connection;
      await neighbour(sql);
      const again = stale(sql) as PromiseLike<readonly object[]> & { retried?: unknown };
      const ends = Promise.allSettled([again]);
      while (again.retried === undefined) await new Promise((resolve) => setImmediate(resolve));
      const [other] = await Promise.allSettled([neighbour(sql)]);
      assertOwnRows(connection, other, ROWS.neighbour);
      const [first] = await ends;
      assertOwnRows(connection, first, ROWS.stale);
    }
  }
});

Deno.test("what was refused beside a statement that is sent again was surely not done", async () => {
  await using server = await createDatabase();
  await using test = startManager(server, { maxConnections: 1 });
  const { database } = test;
  await untilState(database, "connected");
  await database.query`create table entry as select 1 as id`;
  const stale = STALE[1]!;
  await database.withConnection((sql) => stale(sql) as Promise<unknown>);
  await changeTable(server);
  const insert = database.withConnection(async (sql) => {
    const again = stale(sql) as PromiseLike<unknown> & { retried?: unknown };
    void Promise.allSettled([again]);
    while (again.retried === undefined) await new Promise((resolve) => setImmediate(resolve));
    return await sql`insert into entry values (2)`.catch(({ code }) => code);
  });
  assert.equal(await insert, "CONNECTION_LOST");
  assert.deepEqual(await server.admin("select id from entry"), [{ id: 1 }]);
});
