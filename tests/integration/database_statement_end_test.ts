import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { connect } from "../../src/database/connection/connect.ts";
import type { Connection } from "../../src/database/connection/connection.ts";
import type { Sql } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { afterBytes, FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import {
  ends,
  fakeServer,
  terminateSessions,
  watchUnhandled,
} from "../support/database_support.ts";

async function endSession(server: TestPostgres, connection: Connection): Promise<void> {
  await terminateSessions(server);
  await connection.whenClosed;
}

/** Statements as the driver sends them in its different ways. */
const KINDS: readonly ((sql: Sql) => PromiseLike<unknown>)[] = [
  (sql) => sql`select 1`,
  (sql) => sql`select ${1}::int`,
  (sql) => sql`select ${"a"}::text, generate_series(1, 20)`,
  (sql) => sql`rollback`.simple(),
  (sql) => sql.unsafe("select 1; select 2"),
  (sql) => sql.notify("channel", "payload"),
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
      return await KINDS[randomInt(KINDS.length)]!(connection.sql);
    });
    for (const end of await ends(statements)) {
      if (end.status === "fulfilled") continue;
      const { code } = connection.explain(end.reason) as { code?: string };
      assert.equal(code, "CONNECTION_LOST");
    }
  }
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("what a cursor's function throws fails the statement, for each batch", async (t) => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  await using connection = await connect(server.config());
  const { sql } = connection;
  const own = new Error("own");
  const failing = {
    "at once": () => {
      throw own;
    },
    "later": async () => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      throw own;
    },
  };
  for (const [when, take] of Object.entries(failing)) {
    // Of ten rows: the first of several batches, exactly the last one, and one that is not full.
    for (const size of [3, 10, 100]) {
      await t.step(`${when}, batches of ${size}`, async () => {
        const [end] = await ends([sql`select generate_series(1, 10)`.cursor(size, take)]);
        assert.equal(end?.status === "rejected" && end.reason, own);
        assert.equal((await sql`select 1 as number`)[0]?.number, 1, "the session goes on");
      });
    }
  }
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("a cursor has ended when its function is done with the last batch", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  let rows = 0;
  await connection.sql`select generate_series(1, 5)`.cursor(2, async (batch) => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    rows += batch.length;
  });
  assert.equal(rows, 5);
});

Deno.test("an idle session that the server ends is closed before its process has gone", async () => {
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

Deno.test("a statement's own cancel is refused, and harms nothing", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  await using connection = await connect(server.config());
  const running = connection.sql`select 1 as number from pg_sleep(0.05)`.execute();
  assert.throws(() => running.cancel(), { code: "INVALID_USE" });
  assert.equal((await running)[0]?.number, 1);
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("a cursor fails when its session ends between two batches", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  const series = (sql: Sql) => sql`select generate_series(1, 10) as number`;
  {
    await using connection = await connect(server.config());
    const read = async () => {
      for await (const _rows of series(connection.sql).cursor(2)) {
        await endSession(server, connection);
      }
    };
    const [end] = await ends([read()]);
    assert.equal(end?.status, "rejected", "it looked like the end of the rows");
  }
  {
    await using connection = await connect(server.config());
    for await (const _rows of series(connection.sql).cursor(2)) {
      await endSession(server, connection);
      break;
    }
  }
  {
    await using connection = await connect(server.config());
    const [end] = await ends([
      series(connection.sql).cursor(2, () => endSession(server, connection)),
    ]);
    assert.equal(end?.status, "rejected");
  }
  // The driver would write to the socket now that it has lost.
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(unhandled.reasons, []);
});
