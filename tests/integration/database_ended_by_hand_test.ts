import assert from "node:assert/strict";
import type { Transaction } from "../../src/database/mod.ts";
import { startManager, untilState } from "../support/database_support.ts";
import { startPostgres } from "../support/postgres.ts";

const ENDS: Readonly<Record<string, (tx: Transaction) => PromiseLike<unknown>>> = {
  rollback: (tx) => tx`rollback`,
  commit: (tx) => tx`commit`,
};

for (const [name, end] of Object.entries(ENDS)) {
  Deno.test(`a function that ends its transaction by hand (${name}) does not succeed`, async () => {
    await using server = await startPostgres();
    await using test = startManager(server);
    const { database } = test;
    await untilState(database, "connected");
    await database.query`create table entry (id int)`;
    const run = database.transaction(async (tx) => {
      await tx`insert into entry values (1)`;
      await end(tx);
      await tx`insert into entry values (2)`;
    });
    await assert.rejects(run, { code: "INVALID_USE", message: /ended it with a statement/ });
    await database.transaction((tx) => tx`insert into entry values (3)`);
  });
}

Deno.test("a function may end a transaction by hand and begin another", async () => {
  await using server = await startPostgres();
  await using test = startManager(server);
  const { database } = test;
  await untilState(database, "connected");
  await database.query`create table entry (id int)`;
  await database.transaction(async (tx) => {
    await tx`insert into entry values (1)`;
    await tx`commit and chain`;
    await tx`insert into entry values (2)`;
  });
  assert.equal((await database.query`select id from entry`).length, 2);
});
