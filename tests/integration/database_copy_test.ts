import assert from "node:assert/strict";
import { Readable, type Stream, type Writable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import type { Sql } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import {
  holdLock,
  startWithTable,
  terminateSessions,
  watchUnhandled,
} from "../support/database_support.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

/** What is committed. */
async function entries(server: TestDatabase): Promise<number[]> {
  const rows = await server.admin<{ id: number }>("select id from entry order by id");
  return rows.map(({ id }) => id);
}

/** Waits until the trigger of a COPY waits for the lock 1. */
async function untilRowsAreIn(server: TestDatabase): Promise<void> {
  const isWaiting = () => server.admin("select from pg_locks where not granted");
  await eventually(async () => (await isWaiting()).length > 0, { what: "the trigger waits" });
}

Deno.test("a savepoint that cannot be undone beside a COPY takes the transaction with it", async () => {
  await using server = await createDatabase();
  await using test = await startWithTable(server);
  const own = new Error("own");
  const transaction = test.database.transaction(async (tx) => {
    let copy: Writable | undefined;
    const failed = tx.savepoint(async (tx) => {
      await tx`insert into entry values (1)`;
      copy = await tx`copy entry from stdin`.writable();
      throw own;
    });
    await assert.rejects(failed, own);
    copy!.end("2\n");
    await finished(copy!);
  });
  await assert.rejects(transaction, { code: "TRANSACTION_ABORTED" });
  assert.deepEqual(await entries(server), []);
  await test.database.query`insert into entry values (3)`;
  assert.deepEqual(await entries(server), [3]);
});

/** Ways to give rows to a COPY. */
const COPIES: Readonly<Record<string, (sql: Sql, rows: string) => Promise<unknown>>> = {
  async "piped in"(sql, rows) {
    await pipeline(Readable.from([rows]), await sql`copy entry from stdin`.writable());
  },
  async "and nobody waits"(sql, rows) {
    (await sql`copy entry from stdin`.writable()).end(rows);
  },
};

for (const [how, copy] of Object.entries(COPIES)) {
  Deno.test(`a COPY that is refused at its end fails its operation: ${how}`, async () => {
    await using server = await createDatabase();
    await using test = await startWithTable(server);
    const { database } = test;
    await database.query`insert into entry values (1)`;
    const refused = { name: "DatabaseError", code: "UNIQUE_VIOLATION" };
    for (const timeoutMs of [undefined, 60_000]) {
      const rows = "2\n1\n";
      await assert.rejects(
        database.withConnection((sql) => copy(sql, rows), { timeoutMs }),
        refused,
      );
      await assert.rejects(database.transaction((tx) => copy(tx, rows), { timeoutMs }), refused);
    }
    assert.deepEqual(await entries(server), [1]);
    assert.equal(database.poolStats().openedCount, 1);
  });

  Deno.test(`a COPY whose answer is lost may have been done: ${how}`, async () => {
    await using server = await createDatabase();
    await using test = await startWithTable(server);
    await server.admin(`
      create function wait() returns trigger language plpgsql as
      $$ begin perform pg_advisory_xact_lock(1); return null; end $$
    `);
    await server.admin(
      "create trigger slow after insert on entry for each statement execute function wait()",
    );
    await using _lock = await holdLock(server);
    const lost = assert.rejects(test.database.withConnection((sql) => copy(sql, "1\n")), {
      code: "COMMIT_UNKNOWN",
    });
    await untilRowsAreIn(server);
    await terminateSessions(server);
    await lost;
  });
}

Deno.test("a COPY that is refused in its middle fails with a typed error", async () => {
  await using server = await createDatabase();
  await using test = await startWithTable(server);
  await test.database.withConnection(async (sql) => {
    const copy = await sql`copy entry from stdin`.writable();
    const refused = assert.rejects(finished(copy), {
      name: "DatabaseError",
      sqlState: "22P02",
    });
    // The server looks at rows when it has some kilobytes of them.
    copy.write("wrong\n".repeat(10_000));
    await refused;
    assert.equal((await sql`select 1 as number`)[0]?.number, 1, "the session goes on");
  });
});

Deno.test("a connection that is lost beside an idle COPY ends nothing but its operation", async () => {
  await using server = await createDatabase();
  await using test = await startWithTable(server);
  const { database } = test;
  using unhandled = watchUnhandled();
  const streams: Readonly<Record<string, (sql: Sql) => Promise<Stream>>> = {
    in: (sql) => sql`copy entry from stdin`.writable(),
    out: (sql) =>
      sql`copy (select repeat('x', 9000) union all select pg_sleep(600)::text) to stdout`
        .readable(),
  };
  for (const [way, open] of Object.entries(streams)) {
    for (const isUsed of [true, false]) {
      const lost = database.withConnection(async (sql) => {
        const stream = await open(sql);
        await terminateSessions(server);
        await eventually(() => (stream as Writable).destroyed, { what: `${way} has ended` });
        if (isUsed) await finished(stream as Writable);
      });
      await assert.rejects(lost, { code: "COMMIT_UNKNOWN" });
    }
  }
  assert.deepEqual(unhandled.reasons, []);
  await database.query`insert into entry values (3)`;
});
