import assert from "node:assert/strict";
import type { Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { startManager, type TestManager, untilState } from "../support/database_support.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

/** A manager, and the table `entry`. */
async function startWithTable(server: TestDatabase): Promise<TestManager> {
  const test = startManager(server, { maxConnections: 1 });
  await untilState(test.database, "connected");
  await test.database.query`create table entry (id int primary key)`;
  return test;
}

/** What is committed. */
async function entries(server: TestDatabase): Promise<number[]> {
  const rows = await server.admin<{ id: number }>("select id from entry order by id");
  return rows.map(({ id }) => id);
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
