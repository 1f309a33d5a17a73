import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { connect } from "../../src/database/connection/connect.ts";
import type { Connection } from "../../src/database/connection/connection.ts";
import { eventually } from "../support/condition.ts";
import { afterBytes, FaultProxy } from "../support/fault_proxy.ts";
import { createDatabase, startPostgres } from "../support/postgres.ts";
import {
  ends,
  fakeServer,
  terminateSessions,
  watchUnhandled,
} from "../support/database_support.ts";

/** Statements as the driver sends them in its different ways. */
const KINDS: readonly ((connection: Connection) => PromiseLike<unknown>)[] = [
  ({ sql }) => sql`select 1`,
  ({ sql }) => sql`select ${1}::int`,
  ({ sql }) => sql`select ${"a"}::text, generate_series(1, 20)`,
  (connection) => connection.script("rollback"),
  (connection) => connection.script("select 1; select 2"),
];
const SESSIONS = 100;

Deno.test("every statement ends, wherever its session is cut", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  using unhandled = watchUnhandled();
  const config = server.config({ hosts: [proxy.address] });
  for (let session = 0; session < SESSIONS; session++) {
    const ending = session % 2 === 0 ? "reset" : "close";
    using _cut = proxy.cut(afterBytes("toClient", randomInt(400, 2_000)), ending);
    await using connection = await connect(config).catch(() => undefined);
    if (connection === undefined) continue;
    const statements = Array.from({ length: 12 }, async (_, turn) => {
      // In the same turn of the event loop, and one after the other.
      for (let wait = randomInt(2) * turn; wait > 0; wait--) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      return await KINDS[randomInt(KINDS.length)]!(connection);
    });
    for (const end of await ends(statements)) {
      if (end.status === "fulfilled") continue;
      const { code } = end.reason as { code?: string };
      assert.equal(code, "CONNECTION_LOST");
    }
  }
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("an idle session that the server terminates is closed before its backend has exited", async () => {
  await using server = await startPostgres();
  // Passes everything on but the end of the stream.
  using slowToLeave = fakeServer(async (client: Deno.Conn) => {
    const upstream = await Deno.connect({ port: server.database.port });
    const kept = { preventClose: true, preventAbort: true, preventCancel: true };
    const ways = [
      client.readable.pipeTo(upstream.writable),
      upstream.readable.pipeTo(client.writable, kept),
    ];
    await Promise.allSettled(ways);
  });
  const hosts = [{ host: "127.0.0.1", port: slowToLeave.port }];
  await using connection = await connect(server.config({ hosts }));
  await terminateSessions(server);
  await eventually(() => connection.closed, { what: "the connection is closed" });
});

Deno.test("statements run in the order in which they are waited for, one at a time", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  const { sql } = connection;
  await sql`create table step (number serial, what text)`;
  const steps = ["a", "b", "c", "d"].map((what) => sql`insert into step (what) values (${what})`);
  await Promise.all([...steps].reverse());
  const rows = await sql<{ what: string }>`select what from step order by number`;
  assert.deepEqual(rows.map(({ what }) => what), ["d", "c", "b", "a"]);
});

Deno.test("a statement that fails affects none of those that wait behind it", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  const { sql } = connection;
  const statements = [
    sql`select pg_sleep(0.05)`,
    sql`select 1/0`,
    sql`select ${new Date(NaN)}::timestamptz`,
    sql`select ${undefined as never}::text`,
    sql`select 2 as number`,
  ];
  const found = (await ends(statements)).map((end) =>
    end.status === "fulfilled" ? "fulfilled" : end.reason.code
  );
  const expected = ["fulfilled", "QUERY_FAILED", "INVALID_USE", "INVALID_USE", "fulfilled"];
  assert.deepEqual(found, expected);
  assert.equal(connection.closed, false);
});

Deno.test("a statement that fails in the middle of its rows leaves none in the next result", async () => {
  await using server = await createDatabase();
  await using connection = await connect(server.config());
  const { sql } = connection;
  const failures: readonly (() => PromiseLike<unknown>)[] = [
    () => sql`select 1 / (3 - n) from generate_series(1, 5) as n`,
    () => sql`select 1 / (3 - n) from generate_series(1, ${5}::int) as n`,
    () => connection.script("select 1 / (3 - n) from generate_series(1, 5) as n"),
  ];
  for (const fail of failures) {
    await assert.rejects(Promise.resolve(fail()), { sqlState: "22012" });
    const rows = await sql`select generate_series(1, 2) as number`;
    assert.deepEqual([...rows], [{ number: 1 }, { number: 2 }]);
    await assert.rejects(Promise.resolve(fail()), { sqlState: "22012" });
    assert.equal((await connection.role()).inRecovery, false);
    await assert.rejects(Promise.resolve(fail()), { sqlState: "22012" });
    assert.equal((await sql`select where false`).length, 0);
  }
});

Deno.test("what waits behind a statement whose session ends was surely not done", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  await connection.sql`create table entry (id int)`;
  const statements = [
    connection.sql`select pg_terminate_backend(pg_backend_pid())`,
    connection.sql`insert into entry values (1)`,
  ];
  const [lost, behind] = await ends(statements);
  assert.ok(lost?.status === "rejected" && behind?.status === "rejected");
  assert.equal(connection.isUnanswered(lost.reason), true);
  assert.equal(behind.reason.code, "CONNECTION_LOST");
  assert.equal(connection.isUnanswered(behind.reason), false);
  assert.deepEqual(await server.admin("select id from entry"), []);
});

for (const script of ["copy entry from stdin", "select 1; copy entry to stdout"]) {
  Deno.test(`a script that copies with its client fails, and harms nothing: ${script}`, async () => {
    await using server = await startPostgres();
    using unhandled = watchUnhandled();
    await server.admin("create table entry as select 1 as id");
    await server.admin(`grant all on entry to "${server.database.user}"`);
    await using connection = await connect(server.config());
    await assert.rejects(connection.script(script), { code: "INVALID_USE", message: /COPY/ });
    await connection.whenClosed;
    assert.deepEqual(unhandled.reasons, []);
  });
}
