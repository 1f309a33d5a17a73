import assert from "node:assert/strict";
import postgres from "postgres";
import { eventually } from "../support/condition.ts";
import { afterBytes, FaultProxy, type Moment, onSql } from "../support/fault_proxy.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

async function startServer(): Promise<TestDatabase> {
  const server = await createDatabase();
  await server.admin("create table entry (id text); grant all on entry to public");
  return server;
}

function clientOf(server: TestDatabase, proxy: FaultProxy): postgres.Sql {
  return postgres({ ...server.database, ...proxy.address, max: 1, fetch_types: false });
}

async function entries(server: TestDatabase): Promise<unknown[]> {
  const rows = await server.admin("select id from entry order by id");
  return rows.map(({ id }) => id);
}

const LOST = /CONNECTION_CLOSED|ECONNRESET/;

type Run = (sql: postgres.Sql, text: string) => Promise<unknown>;

const protocols: Record<string, Run> = {
  "the simple protocol": async (sql, text) => await sql.unsafe(text).simple(),
  "the extended protocol": async (sql, text) => await sql.unsafe(text, [], { prepare: false }),
  "a statement prepared before": async (sql, text) => await sql.unsafe(text, [], { prepare: true }),
};

for (const [protocol, run] of Object.entries(protocols)) {
  for (const moment of ["request", "forwarded", "answer"] satisfies Moment[]) {
    Deno.test(`cuts COMMIT at the moment ${moment}, by ${protocol}`, async () => {
      await using server = await startServer();
      await using proxy = await FaultProxy.start(server.database);
      const sql = clientOf(server, proxy);
      for (const text of ["begin", "insert into entry values ('first')", "commit"]) {
        await run(sql, text);
      }
      await run(sql, "begin");
      await sql`insert into entry values ('cut')`;
      const cut = proxy.cut(onSql("COMMIT", moment));
      await assert.rejects(run(sql, "commit"), { code: LOST });
      await cut.happened();
      await eventually(async () => await server.sessions() === 0);
      const expected = {
        request: [["first"]],
        forwarded: [["first"], ["cut", "first"]], // who knows
        answer: [["cut", "first"]],
      }[moment].map(String);
      assert.ok(expected.includes(String(await entries(server))));
      assert.equal((await sql`select 1 as one`)[0]?.one, 1, "only one connection is cut");
      await sql.end();
    });
  }
}

Deno.test("cuts at the answer of a statement without a transaction: it is committed", async () => {
  await using server = await startServer();
  await using proxy = await FaultProxy.start(server.database);
  const sql = clientOf(server, proxy);
  await sql`select 1`;
  proxy.cut(onSql("insert into entry", "answer"), "close");
  await assert.rejects(sql`insert into entry values (${"one"})`, { code: LOST });
  assert.deepEqual(await entries(server), ["one"]);
  await sql.end({ timeout: 0 }); // without a limit it waits for the lost connection
});

Deno.test("other statements and other connections pass a cut by SQL text", async () => {
  await using server = await startServer();
  await using proxy = await FaultProxy.start(server.database);
  const sql = clientOf(server, proxy);
  const cut = proxy.cut(onSql("commit", "request"));
  await sql`select 'other' as word`;
  assert.equal(proxy.stats.total, 1);
  cut[Symbol.dispose]();
  await sql`/* commit */ select 1`;
  assert.equal(proxy.stats.total, 1, "an order that was taken back does nothing");
  await sql.end();
});

Deno.test("cuts after an exact number of bytes from the server", async () => {
  await using server = await startServer();
  await using proxy = await FaultProxy.start(server.database);
  // A startup message without a user: the answer is an error that begins with E.
  const startup = Uint8Array.of(0, 0, 0, 9, 0, 3, 0, 0, 0);
  for (const bytes of [1, 7, 20]) {
    using _cut = proxy.cut(afterBytes("toClient", bytes), "close");
    using connection = await Deno.connect({ hostname: proxy.host, port: proxy.port });
    await connection.write(startup);
    const received = new Uint8Array(await new Response(connection.readable).arrayBuffer());
    assert.equal(received.length, bytes);
    assert.equal(received[0], "E".charCodeAt(0));
  }
});

Deno.test("cuts after an exact number of bytes from the client, with a reset", async () => {
  await using server = await startServer();
  await using proxy = await FaultProxy.start(server.database);
  const cut = proxy.cut(afterBytes("toServer", 12));
  const sql = clientOf(server, proxy);
  await assert.rejects(sql`select 1`, { code: LOST });
  await cut.happened();
  assert.equal(proxy.stats.bytesToServer, 12);
  assert.equal(proxy.stats.bytesToClient, 0);
  await sql`select 1`;
  await sql.end();
});
