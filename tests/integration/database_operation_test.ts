import assert from "node:assert/strict";
import type { Sql } from "../../src/database/mod.ts";
import { runOperation, runStatement } from "../../src/database/operation/operation.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { poolLender, type TestLender } from "../support/database_lender.ts";
import { terminateSessions, watchUnhandled } from "../support/database_support.ts";

async function count(server: TestDatabase, table: string): Promise<number> {
  const [row] = await server.admin<{ count: number }>(`select count(*)::int from ${table}`);
  return row!.count;
}

async function createTable(lender: TestLender): Promise<void> {
  await runOperation(lender, (sql) => sql`create table entry (id int primary key)`);
}

Deno.test("statements fail with typed errors, for the work and for its caller", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  await createTable(lender);
  const insert = (sql: Sql) => sql`insert into entry values (1)`;
  let inside: unknown;
  await runOperation(lender, async (sql) => {
    await insert(sql);
    inside = await insert(sql).catch((error) => error);
  });
  assert.equal((inside as { code: string }).code, "UNIQUE_VIOLATION");
  await assert.rejects(runOperation(lender, insert), { code: "UNIQUE_VIOLATION" });
  const fast = (strings: TemplateStringsArray) => runStatement(lender, strings, []);
  await assert.rejects(fast`insert into entry values (1)`, { code: "UNIQUE_VIOLATION" });
  await assert.rejects(fast`insert into entry values (null)`, { code: "CONSTRAINT_VIOLATION" });
  assert.equal(lender.pool.stats().openedCount, 1);
});

Deno.test("an error that is not a database error is passed on unchanged", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config());
  // With codes that mean an outage when they come from the database's own socket.
  const noFile = await Deno.readTextFile("no such file").catch((error) => error);
  const otherService = Object.assign(new Error("own"), { code: "ECONNRESET" });
  for (const thrown of [new TypeError("own"), "a string", undefined, noFile, otherService]) {
    for (const options of [{}, { timeoutMs: 60_000 }, { idempotent: true }]) {
      let calls = 0;
      const work = () => {
        calls++;
        return Promise.reject(thrown);
      };
      await runOperation(lender, work, options).then(
        () => assert.fail("it did not reject"),
        (error) => assert.equal(error, thrown),
      );
      assert.equal(calls, 1);
    }
  }
});

Deno.test("a statement that is not awaited belongs to the operation", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  await createTable(lender);
  await runOperation(lender, async (sql) => {
    await sql`select 1`;
    void sql`insert into entry select 1 from pg_sleep(0.05)`.then();
  });
  assert.equal(await count(server, "entry"), 1);
});

Deno.test("a statement after the operation is refused", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  await createTable(lender);
  const late: PromiseLike<unknown>[] = [];
  const kept = await runOperation(lender, (sql) => ({ sql }));
  late.push(kept.sql`insert into entry values (1)`);
  await assert.rejects(
    runOperation(lender, (sql) => void late.push(sql`insert into entry values (2)`)),
    { code: "INVALID_USE" },
  );
  for (const statement of late) {
    await assert.rejects(Promise.resolve(statement), { code: "INVALID_USE" });
  }
  assert.equal(await count(server, "entry"), 0);
});

Deno.test("a transaction by hand ends with the failure of its operation", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  await createTable(lender);
  const own = new Error("own");
  await assert.rejects(
    runOperation(lender, async (sql) => {
      await sql`begin`;
      await sql`insert into entry values (1)`;
      throw own;
    }),
    own,
  );
  await runOperation(lender, (sql) => sql`insert into entry values (2)`);
  assert.deepEqual(await server.admin("select id from entry"), [{ id: 2 }]);
  assert.equal(lender.pool.stats().openedCount, 1);
});

Deno.test("an idempotent operation is repeated once on another connection", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config());
  using unhandled = watchUnhandled();
  let attempts = 0;
  const loseConnection = async (sql: Sql, losses: number) => {
    if (++attempts <= losses) await terminateSessions(server);
    return (await sql`select 1 as one`)[0];
  };
  const run = (losses: number, idempotent: boolean) => {
    attempts = 0;
    return runOperation(lender, (sql) => loseConnection(sql, losses), { idempotent });
  };
  // The connection can be known to be lost before the statement is sent, or not.
  const lost = ({ code }: { code: string }) => /^(CONNECTION_LOST|COMMIT_UNKNOWN)$/.test(code);
  assert.deepEqual(await run(1, true), { one: 1 });
  assert.equal(attempts, 2);
  await assert.rejects(run(2, true), { code: "CONNECTION_LOST" });
  assert.equal(attempts, 2);
  await assert.rejects(run(1, false), lost);
  assert.equal(attempts, 1);
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("a COPY as a single query is refused, and its connection is not lent again", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  await createTable(lender);
  for (const options of [{}, { timeoutMs: 60_000 }]) {
    const copy = (strings: TemplateStringsArray) => runStatement(lender, strings, [], options);
    await assert.rejects(copy`copy entry from stdin`, { code: "INVALID_USE", message: /COPY/ });
    assert.equal(await count(server, "entry"), 0);
  }
});
