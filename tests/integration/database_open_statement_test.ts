import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import type { Sql } from "../../src/database/mod.ts";
import { startWithTable, terminateSessions, watchUnhandled } from "../support/database_support.ts";
import { createDatabase } from "../support/postgres.ts";

const series = (sql: Sql) => sql`select generate_series(1, 100) as id`;
const large = (sql: Sql) =>
  sql`copy (select repeat('x', 1000) from generate_series(1, 20000)) to stdout`.readable();
const other = (sql: Sql) => sql`select ${1}::int`;

/** Each would wait for ever, for a statement that waits for it. */
const BESIDE: Readonly<Record<string, (sql: Sql) => Promise<unknown>>> = {
  async "a cursor, in its loop"(sql) {
    for await (const _rows of series(sql).cursor(10)) await other(sql);
  },
  async "a cursor, in its function"(sql) {
    await series(sql).cursor(10, async () => void await other(sql));
  },
  async "a cursor of one batch"(sql) {
    for await (const _rows of series(sql).cursor(1000)) await other(sql);
  },
  async "a COPY in"(sql) {
    const copy = await sql`copy entry from stdin`.writable();
    // The driver refused only the first one.
    await assert.rejects(other(sql), { code: "INVALID_USE", message: /COPY is open/ });
    await other(sql);
    copy.end();
  },
  async "a COPY in, whose stream is not there yet"(sql) {
    const copy = sql`copy entry from stdin`.writable();
    const [copying, beside] = await Promise.allSettled([copy, other(sql)]);
    if (copying.status === "fulfilled") await finished(copying.value.end());
    if (beside.status === "rejected") throw beside.reason;
  },
  async "a COPY out"(sql) {
    for await (const _rows of await large(sql)) await other(sql);
  },
};

for (const [what, work] of Object.entries(BESIDE)) {
  Deno.test(`a statement is refused beside ${what}`, async () => {
    await using server = await createDatabase();
    await using test = await startWithTable(server);
    const { database } = test;
    using unhandled = watchUnhandled();
    const refused = { code: "INVALID_USE", message: /is open on this connection/ };
    await assert.rejects(database.withConnection(work), refused);
    await assert.rejects(database.transaction(work), refused);
    await database.query`insert into entry values (1)`;
    assert.deepEqual(unhandled.reasons, []);
  });
}

/** None waits for its end. */
const LEFT: Readonly<Record<string, (sql: Sql) => Promise<unknown>>> = {
  async "a cursor"(sql) {
    await series(sql).cursor(10)[Symbol.asyncIterator]().next();
  },
  async "a cursor's function"(sql) {
    void Promise.allSettled([series(sql).cursor(10, () => new Promise(() => {}))]);
    await Promise.resolve();
  },
  async "a COPY in"(sql) {
    (await sql`copy entry from stdin`.writable()).write("1\n");
  },
  async "a COPY out"(sql) {
    await large(sql);
  },
};

for (const [what, work] of Object.entries(LEFT)) {
  Deno.test(`an operation does not wait for ever for ${what} that it has left open`, async () => {
    await using server = await createDatabase();
    await using test = await startWithTable(server);
    const { database } = test;
    const refused = { code: "INVALID_USE", message: /was left open/ };
    await assert.rejects(database.withConnection(work), refused);
    await assert.rejects(database.transaction(work), refused);
    await database.query`insert into entry values (1)`;
    assert.deepEqual(await server.admin("select id from entry"), [{ id: 1 }]);
  });
}

Deno.test("what has been ended or left in order is no obstacle", async () => {
  await using server = await createDatabase();
  await using test = await startWithTable(server);
  const { database } = test;
  using unhandled = watchUnhandled();
  const all = async (sql: Sql) => {
    for await (const _rows of series(sql).cursor(10)) break;
    await other(sql);
    for await (const _rows of series(sql).cursor(10));
    await other(sql);
    await series(sql).cursor(10, () => sql.CLOSE);
    await other(sql);
    await pipeline(Readable.from(["1\n"]), await sql`copy entry from stdin`.writable());
    await other(sql);
    for await (const _row of await sql`copy entry to stdout`.readable());
    await other(sql);
    await sql`delete from entry`;
    for await (const _rows of await large(sql)) break;
    return "done";
  };
  assert.equal(await database.withConnection(all), "done");
  assert.equal(await database.transaction(all), "done");
  assert.equal(database.poolStats().openedCount, 1);
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("a COPY out that was left and then lost ends nothing but its connection", async () => {
  await using server = await createDatabase();
  await using test = await startWithTable(server);
  using unhandled = watchUnhandled();
  await test.database.withConnection(async (sql) => {
    const rows = sql`copy (
      select repeat('x', 9000) from generate_series(1, 9) union all select pg_sleep(600)::text
    ) to stdout`;
    for await (const _rows of await rows.readable()) break;
    await terminateSessions(server);
  });
  await test.database.query`insert into entry values (1)`;
  assert.deepEqual(unhandled.reasons, []);
});
