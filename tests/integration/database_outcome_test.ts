import assert from "node:assert/strict";
import type { DatabaseError, Sql } from "../../src/database/mod.ts";
import {
  type OperationOptions,
  runOperation,
  runStatement,
} from "../../src/database/operation/operation.ts";
import { FaultProxy, type Moment, onSql } from "../support/fault_proxy.ts";
import { createDatabase, startPostgres, type TestDatabase } from "../support/postgres.ts";
import { poolLender, type TestLender } from "../support/database_lender.ts";
import { terminateSessions, untilNoSessions, untilRunning } from "../support/database_support.ts";

const create = (sql: Sql) => sql`create table entry (id int)`;

async function count(server: TestDatabase): Promise<number> {
  const [row] = await server.admin<{ count: number }>("select count(*)::int from entry");
  return row!.count;
}

function insert(lender: TestLender, options: OperationOptions): Promise<unknown> {
  const run = (strings: TemplateStringsArray) => runStatement(lender, strings, [], options);
  return run`insert into entry values (1)`;
}

/** What a write fails with when its connection is cut. */
const LOSSES: readonly (readonly [string, OperationOptions, string])[] = [
  ["of which nothing is known", {}, "COMMIT_UNKNOWN"],
  ["with a deadline", { timeoutMs: 60_000 }, "COMMIT_UNKNOWN"],
  ["that is said to read", { access: "read" }, "CONNECTION_LOST"],
  ["that is said to read, with a deadline", {
    access: "read",
    timeoutMs: 60_000,
  }, "CONNECTION_LOST"],
];
/** Where the connection is cut, and how often the statement can have been done. */
const CUTS: readonly (readonly [Moment, readonly number[]])[] = [
  ["request", [0]],
  ["forwarded", [0, 1]],
  ["answer", [1]],
];
for (const [what, options, code] of LOSSES) {
  Deno.test(`a statement ${what} is ${code} when its connection is cut`, async (t) => {
    await using server = await createDatabase();
    await using proxy = await FaultProxy.start(server.database);
    await using lender = poolLender(server.config({ hosts: [proxy.address] }));
    await runOperation(lender, create);
    for (const [moment, done] of CUTS) {
      await t.step(`at the ${moment}`, async () => {
        const cut = proxy.cut(onSql("insert", moment));
        await assert.rejects(insert(lender, options), {
          code,
          retryable: code !== "COMMIT_UNKNOWN",
        });
        await cut.happened();
        await untilNoSessions(server);
        assert.ok(done.includes(await count(server)));
        await server.admin("truncate entry");
      });
    }
  });
}

Deno.test("an idempotent statement that was done is done again", async () => {
  await using server = await createDatabase();
  await using proxy = await FaultProxy.start(server.database);
  await using lender = poolLender(server.config({ hosts: [proxy.address] }));
  await runOperation(lender, create);
  proxy.cut(onSql("insert", "answer"));
  await insert(lender, { idempotent: true });
  assert.equal(await count(server), 2);
});

Deno.test("a statement that was never sent is lost, and not unknown", async () => {
  await using server = await startPostgres();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  await runOperation(lender, create);
  const writeAfterTheEnd = async (sql: Sql) => {
    await assert.rejects(sql`select pg_terminate_backend(pg_backend_pid())`, {
      code: "COMMIT_UNKNOWN",
    });
    await assert.rejects(sql`insert into entry values (1)`, { code: "CONNECTION_LOST" });
  };
  await runOperation(lender, writeAfterTheEnd);
  assert.equal(await count(server), 0);
  await server.stop();
  await assert.rejects(insert(lender, {}), { code: "CONNECTION_REFUSED" });
});

/** What can end an operation, and what it fails with when nothing was done before. */
const ENDS: readonly (readonly [string, OperationOptions, (sql: Sql) => Promise<unknown>])[] = [
  ["CONNECTION_LOST", {}, async (sql) => {
    await sql`select pg_terminate_backend(pg_backend_pid())`.catch(() => {});
    await sql`insert into entry values (2)`;
  }],
  ["STATEMENT_TIMEOUT", { timeoutMs: 1_000 }, (sql) => sql`select pg_sleep(600)`],
  ["DEADLOCK", {}, (sql) => sql`do $$ begin raise sqlstate '40P01'; end $$`],
];
for (const [code, options, end] of ENDS) {
  Deno.test(`${code} after a statement that was done is COMMIT_UNKNOWN, unless it may be repeated`, async () => {
    await using server = await createDatabase();
    await using lender = poolLender(server.config());
    await runOperation(lender, create);
    const run = (options: OperationOptions, before?: (sql: Sql) => Promise<unknown>) =>
      runOperation(lender, async (sql) => {
        await before?.(sql);
        await end(sql);
      }, options);
    const write = (sql: Sql) => sql`insert into entry values (1)`;
    await assert.rejects(run(options, write), (error: DatabaseError) => {
      assert.equal(error.code, "COMMIT_UNKNOWN");
      assert.equal((error.cause as DatabaseError).code, code);
      return true;
    });
    assert.equal(await count(server), 1, "it stays done");
    await assert.rejects(run({ ...options, access: "read" }, write), { code });
  });
}

/** Where a stream is cut, and what that is, also after a statement that was done. */
const STREAM_CUTS: readonly (readonly [string, string])[] = [
  ["begin", "CONNECTION_LOST"],
  ["fetch", "CONNECTION_LOST"],
  ["commit", "COMMIT_UNKNOWN"],
];
for (const [statement, code] of STREAM_CUTS) {
  Deno.test(`a stream that is cut at its ${statement} is ${code}`, async () => {
    await using server = await createDatabase();
    await using proxy = await FaultProxy.start(server.database);
    await using lender = poolLender(server.config({ hosts: [proxy.address] }));
    await runOperation(lender, create);
    const read = (isAfterWrite: boolean) =>
      runOperation(lender, async (sql) => {
        if (isAfterWrite) await sql`insert into entry values (1)`;
        for await (const _rows of sql.stream({ batch: 1 })`select 1`);
      });
    for (const isAfterWrite of [false, true]) {
      const cut = proxy.cut(onSql(statement, "answer"));
      await assert.rejects(read(isAfterWrite), { code: isAfterWrite ? "COMMIT_UNKNOWN" : code });
      await cut.happened();
    }
  });
}

Deno.test("a stream that takes too long has done nothing", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config());
  const read = runOperation(lender, async (sql) => {
    for await (const _rows of sql.stream({ batch: 1 })`select generate_series(1, 2), pg_sleep(60)`);
  }, { timeoutMs: 1_000 });
  await assert.rejects(read, { code: "STATEMENT_TIMEOUT" });
});

Deno.test("only an idempotent statement that the server stops is repeated, once", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ options: "-c statement_timeout=500" }));
  await runOperation(lender, (sql) => sql`create sequence attempt`);
  await runOperation(lender, create);
  // Takes too long only for the first time.
  const once = (options: OperationOptions) =>
    runOperation(
      lender,
      (sql) => sql`select pg_sleep(600) where nextval('attempt') % 2 = 1`,
      options,
    );
  await assert.rejects(once({}), { code: "STATEMENT_TIMEOUT", sqlState: "57014" });
  await server.admin("alter sequence attempt restart");
  await once({ idempotent: true });

  const always = (options: OperationOptions) =>
    runOperation(lender, (sql) => sql`select pg_sleep(600) from nextval('attempt')`, options);
  await server.admin("alter sequence attempt restart");
  await assert.rejects(always({ idempotent: true }), { code: "STATEMENT_TIMEOUT" });
  const [row] = await server.admin<{ last: number }>("select last_value::int as last from attempt");
  assert.equal(row!.last, 2);
});

Deno.test("a statement that had to be cut off is unknown, and one that was cancelled is not", async () => {
  await using server = await createDatabase();
  await using proxy = await FaultProxy.start(server.database);
  await using lender = poolLender(server.config({ hosts: [proxy.address] }));
  // Opens the connection, so that the limit below is the statement's alone.
  await runOperation(lender, (sql) => sql`select 1`);
  const sleep = (options: OperationOptions) =>
    runOperation(lender, (sql) => sql`select pg_sleep(600)`, { timeoutMs: 300, ...options });
  await assert.rejects(sleep({}), { code: "STATEMENT_TIMEOUT" });

  const unproved = [
    [{}, "COMMIT_UNKNOWN"],
    [{ access: "read" }, "ABORTED"],
    [{ idempotent: true }, "ABORTED"],
  ] as const;
  for (const [options, code] of unproved) {
    const abort = new AbortController();
    const outcome = assert.rejects(
      runOperation(lender, (sql) => sql`select pg_sleep(600)`, {
        signal: abort.signal,
        ...options,
      }),
      { code },
    );
    await untilRunning(server, "pg_sleep");
    proxy.silence();
    await proxy.setMode("black-hole");
    abort.abort();
    await outcome;
    await proxy.setMode("pass");
    proxy.resume();
    await terminateSessions(server);
    await untilNoSessions(server);
  }
});
