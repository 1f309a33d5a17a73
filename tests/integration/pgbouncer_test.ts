import assert from "node:assert/strict";
import { connect } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { startManager, untilRunning, untilState } from "../support/database_support.ts";
import { assertLedger, createLedger, LedgerWorkload, writeTransfer } from "../support/ledger.ts";
import { pgBouncerTest, POOL_MODES, startPgBouncer } from "../support/pgbouncer.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

for (const mode of POOL_MODES) {
  pgBouncerTest(`many callers over few sessions keep their transactions (${mode})`, async () => {
    await using server = await startPostgres();
    await createLedger(server);
    // In session mode each of the manager's connections needs one of the pooler's.
    const settings = { default_pool_size: mode === "session" ? 12 : 3 };
    await using bouncer = await startPgBouncer(server, mode, { settings });
    await using test = startManager(server, bouncer.config({ maxConnections: 12 }));
    await untilState(test.database, "connected");
    await using transfers = new LedgerWorkload({
      workers: 24,
      transfer: async (id) => {
        await test.database.transaction((tx) => writeTransfer(tx, id));
        return "committed";
      },
    });
    await transfers.more("committed", 300);
    const outcomes = await transfers.stop();
    await test.database.close();
    await assertLedger(server, outcomes);
  });

  pgBouncerTest(`a deadline cancels the statement on the server (${mode})`, async () => {
    await using server = await startPostgres();
    await using bouncer = await startPgBouncer(server, mode);
    await using test = startManager(server, bouncer.config({ maxConnections: 1 }));
    await untilState(test.database, "connected");
    const { openedCount } = test.database.poolStats();
    const abort = new AbortController();
    const sleeping = test.database.query({ signal: abort.signal })`select pg_sleep(600)`;
    const aborted = assert.rejects(sleeping, { code: "ABORTED" });
    await untilRunning(server, "pg_sleep");
    abort.abort();
    await aborted;
    await untilNotRunning(server, "pg_sleep");
    await test.database.query`select 1`;
    assert.equal(test.database.poolStats().openedCount, openedCount, "the connection was kept");
  });

  pgBouncerTest(`cancelling one caller's statements harms no other's (${mode})`, async () => {
    await using server = await startPostgres();
    await using bouncer = await startPgBouncer(server, mode);
    await using test = startManager(server, bouncer.config({ maxConnections: 12 }));
    await untilState(test.database, "connected");
    const cancelled = Array.from({ length: 6 }, async () => {
      for (let turn = 0; turn < 20; turn++) {
        await assert.rejects(test.database.query({ timeoutMs: 5 })`select pg_sleep(600)`);
      }
    });
    const others = Array.from({ length: 6 }, async () => {
      for (let turn = 0; turn < 100; turn++) await test.database.query`select pg_sleep(0.005)`;
    });
    await Promise.all([...cancelled, ...others]);
  });

  pgBouncerTest(`parameters and results go through, again and again (${mode})`, async () => {
    await using server = await startPostgres();
    await using bouncer = await startPgBouncer(server, mode);
    await using test = startManager(server, bouncer.config());
    await untilState(test.database, "connected");
    for (let turn = 0; turn < 3; turn++) {
      const [row] = await test.database.query<{ text: string; number: number }>`
        select ${"a"}::text as text, ${turn}::int as number
      `;
      assert.deepEqual({ ...row }, { text: "a", number: turn });
    }
  });
}

pgBouncerTest("in session mode the search path is the session's, and ends with it", async () => {
  await using server = await startPostgres();
  await server.admin("create schema treasury authorization treasury_user");
  // One session on the server for everyone, one after the other.
  const settings = { default_pool_size: 1 };
  await using bouncer = await startPgBouncer(server, "session", { settings });
  const session = async (schema: string) => {
    await using connection = await connect(bouncer.config({ schema }));
    const [row] = await connection.sql<{ path: string }>`
      select current_setting('search_path') as path
    `;
    return { path: row?.path, pid: connection.pooler.serverPid };
  };
  const { pid, path } = await session("treasury");
  assert.equal(path, '"treasury"');
  assert.deepEqual(await session("public"), { path: '"public"', pid });
});

async function untilNotRunning(server: TestPostgres, text: string): Promise<void> {
  await eventually(async () => {
    const rows = await server.admin(
      "select from pg_stat_activity where usename = $1 and state = 'active' and query like $2",
      [server.database.user, `%${text}%`],
    );
    return rows.length === 0;
  }, { what: `${text} has ended on the server` });
}
