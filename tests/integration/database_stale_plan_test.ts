import assert from "node:assert/strict";
import { connect } from "../../src/database/connection/connect.ts";
import type { Connection } from "../../src/database/connection/connection.ts";
import type { Sql } from "../../src/database/mod.ts";
import { watchUnhandled } from "../support/database_support.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

/** Prepared, and made stale by {@linkcode changeTable}. */
const STALE: readonly ((sql: Sql) => PromiseLike<readonly object[]>)[] = [
  (sql) => sql`select * from entry`,
  (sql) => sql`select * from entry where id = ${1}`,
];
const NEIGHBOURS: readonly ((sql: Sql) => PromiseLike<readonly object[]>)[] = [
  (sql) => sql`select 7 as number`,
  (sql) => sql`select ${7}::int as number`,
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

Deno.test("a single statement with a stale plan returns its rows", async () => {
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
      const [first, ...others] = await Promise.all(statements);
      assert.deepEqual([...first!], ROWS.stale);
      for (const other of others) assert.deepEqual([...other], ROWS.neighbour);
    }
  }
  assert.deepEqual(unhandled.reasons, []);
});
