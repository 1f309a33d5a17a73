import assert from "node:assert/strict";
import { connect } from "../../src/database/connection/connect.ts";
import type { Sql } from "../../src/database/mod.ts";
import { runOperation, runStatement } from "../../src/database/operation/operation.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { certificate, DebianServer, whyNoDebianServer } from "../support/database_debian_server.ts";
import { connectionLender, poolLender, type TestLender } from "../support/database_lender.ts";
import { untilRunning } from "../support/database_support.ts";
import { testUnless } from "../support/requirement.ts";

/** Statements of the service's user that the server runs at the moment. */
async function running(server: TestDatabase): Promise<number> {
  const rows = await server.admin(
    "select from pg_stat_activity where usename = $1 and state = 'active'",
    [server.database.user],
  );
  return rows.length;
}

async function backendPid(lender: TestLender): Promise<number> {
  return await runOperation(lender, async (sql) => {
    const [row] = await sql<{ pid: number }>`select pg_backend_pid() as pid`;
    return row!.pid;
  });
}

Deno.test("a timeout cancels the statement on the server and keeps the connection", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  const pid = await backendPid(lender);
  await assert.rejects(
    runOperation(lender, (sql) => sql`select pg_sleep(600)`, { timeoutMs: 50 }),
    { code: "STATEMENT_TIMEOUT", retryable: true, isOutage: false },
  );
  assert.equal(await running(server), 0);
  assert.equal(await backendPid(lender), pid);
});

Deno.test("an abort cancels the statement on the server and keeps the connection", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  const pid = await backendPid(lender);
  const abort = new AbortController();
  const run = (strings: TemplateStringsArray) =>
    runStatement(lender, strings, [], { signal: abort.signal });
  const aborted = assert.rejects(run`select pg_sleep(600)`, { code: "ABORTED" });
  await untilRunning(server, "pg_sleep");
  abort.abort();
  await aborted;
  assert.equal(await running(server), 0);
  assert.equal(await backendPid(lender), pid);
});

Deno.test("statements that the driver has sent together are all cancelled", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  const pid = await backendPid(lender);
  const statements = (seconds: number[]) =>
    runOperation(
      lender,
      (sql) => Promise.all(seconds.map((seconds) => sql`select pg_sleep(${seconds})`)),
      { timeoutMs: 100 },
    );
  await assert.rejects(statements([600, 601]), { code: "STATEMENT_TIMEOUT" });
  assert.equal(await running(server), 0);
  assert.equal(await backendPid(lender), pid);
});

Deno.test("when one of several statements fails, the others are cancelled", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  const pid = await backendPid(lender);
  const own = new Error("enough");
  await assert.rejects(
    runOperation(lender, async (sql) => {
      const sleep = assert.rejects(sql`select pg_sleep(600)`);
      await untilRunning(server, "pg_sleep");
      void sleep;
      throw own;
    }),
    own,
  );
  assert.equal(await running(server), 0);
  assert.equal(await backendPid(lender), pid);
});

Deno.test("no cancel is sent when nothing runs: before, between and after statements", async () => {
  await using server = await createDatabase();
  await using proxy = await FaultProxy.start(server.database);
  await using lender = poolLender(server.config({ hosts: [proxy.address], maxConnections: 1 }));
  const pid = await backendPid(lender);
  const never = Promise.withResolvers<never>();

  await runOperation(lender, (sql) => sql`select 1`, { timeoutMs: 60_000 });
  await assert.rejects(
    runOperation(lender, async (sql) => {
      await sql`begin`;
      await sql`select 1`;
      return await never.promise;
    }, { timeoutMs: 2_000, access: "read" }),
    { code: "STATEMENT_TIMEOUT" },
  );
  const abort = new AbortController();
  let late: unknown;
  await assert.rejects(
    runOperation(lender, async (sql) => {
      await sql`select 1`;
      abort.abort();
      late = await sql`create table late ()`.catch((error) => error);
      throw late;
    }, { signal: abort.signal }),
    { code: "ABORTED" },
  );
  assert.equal((late as { code: string }).code, "ABORTED");
  assert.equal(proxy.stats.cancelRequests, 0);
  assert.equal(await backendPid(lender), pid);
  assert.deepEqual(await server.admin("select from pg_tables where tablename = 'late'"), []);
});

Deno.test("work that succeeds after the abort is a success", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  const abort = new AbortController();
  const result = await runOperation(lender, async (sql) => {
    await sql`select 1`;
    abort.abort();
    return "done";
  }, { signal: abort.signal });
  assert.equal(result, "done");
});

Deno.test("work that succeeds after the abort is none in a transaction that it left open", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  const abort = new AbortController();
  const leaveOpen = async (sql: Sql) => {
    await sql`begin`;
    abort.abort();
  };
  await assert.rejects(runOperation(lender, leaveOpen, { signal: abort.signal }), {
    code: "ABORTED",
  });
  await runOperation(lender, (sql) => sql`select 1`);
});

Deno.test("a timeout at the very end of a statement never hits the next one", async () => {
  await using server = await createDatabase();
  await using proxy = await FaultProxy.start(server.database);
  await using lender = poolLender(server.config({ hosts: [proxy.address], maxConnections: 4 }));
  const warmUp = () => runOperation(lender, (sql) => sql`select pg_sleep(0.05)`);
  await Promise.all([warmUp(), warmUp(), warmUp(), warmUp()]);
  // Cancel requests come late, and overtake the session's own messages.
  proxy.shape({ jitterMs: 10 });
  const LIMIT = { timeoutMs: 10, access: "read" } as const;
  const ends = { done: 0, timeout: 0 };
  const worker = async (rounds: number) => {
    for (let round = 0; round < rounds; round++) {
      const seconds = Math.random() * 0.01;
      await runOperation(lender, (sql) => sql`select pg_sleep(${seconds})`, LIMIT).then(
        () => ends.done++,
        (error) => {
          // A connection that could not be proved clean is replaced.
          assert.match(error.code, /^(STATEMENT|ACQUIRE)_TIMEOUT$/);
          ends.timeout++;
        },
      );
      await runOperation(lender, (sql) => sql`select pg_sleep(0.005)`);
    }
  };
  await Promise.all([125, 125, 125, 125].map(worker));
  assert.ok(ends.done > 0 && ends.timeout > 0, JSON.stringify(ends));
});

Deno.test("the server's own statement_timeout has the same code", async () => {
  await using server = await createDatabase();
  await using connection = await connect(server.config());
  await connection.sql`set statement_timeout = '10ms'`;
  const lender = connectionLender(connection);
  await assert.rejects(runOperation(lender, (sql) => sql`select pg_sleep(600)`), {
    code: "STATEMENT_TIMEOUT",
    sqlState: "57014",
  });
});

Deno.test("a timeout while all connections are in use is an ACQUIRE_TIMEOUT", async () => {
  await using server = await createDatabase();
  await using lender = poolLender(server.config({ maxConnections: 1 }));
  await runOperation(lender, async () => {
    await assert.rejects(runOperation(lender, (sql) => sql`select 1`, { timeoutMs: 20 }), {
      code: "ACQUIRE_TIMEOUT",
    });
  });
});

testUnless(
  whyNoDebianServer(),
  "an encrypted session is cancelled over an encrypted connection",
  async () => {
    await using embedded = await createDatabase();
    const config = embedded.config({ user: "postgres", database: "postgres", maxConnections: 1 });
    await using server = await DebianServer.start(config, { hba: [] });
    // A proxy sees cancel requests, unless they are encrypted.
    await using proxy = await FaultProxy.start({ host: "127.0.0.1", port: server.port });
    const tls = { ...config.tls, mode: "verify-ca", rootCert: certificate("ca.pem") } as const;
    await using lender = poolLender({ ...config, hosts: [proxy.address], tls });
    const pid = await backendPid(lender);
    await assert.rejects(
      runOperation(lender, (sql) => sql`select pg_sleep(600)`, { timeoutMs: 50 }),
      { code: "STATEMENT_TIMEOUT" },
    );
    assert.equal(await backendPid(lender), pid);
    assert.equal(proxy.stats.total, 2);
    assert.equal(proxy.stats.cancelRequests, 0);
  },
);
