import assert from "node:assert/strict";
import { DatabaseError } from "../../src/database/mod.ts";
import { runOperation } from "../../src/database/operation/operation.ts";
import { runTransaction } from "../../src/database/operation/transaction.ts";
import { eventually } from "../support/condition.ts";
import { FaultProxy, type Moment, onSql } from "../support/fault_proxy.ts";
import {
  assertLedger,
  createLedger,
  LedgerWorkload,
  type Outcome,
  readLedger,
  writeTransfer,
} from "../support/ledger.ts";
import { startPostgres } from "../support/postgres.ts";
import { poolLender, type TestLender } from "../support/database_lender.ts";
import {
  holdLock,
  terminateSessions,
  untilNoSessions,
  untilRunning,
  watchUnhandled,
} from "../support/database_support.ts";

const STATEMENTS = 5;
/** The driver once forgot a statement in one of 70 kills. */
const ROUNDS = 8;

Deno.test("a transaction never continues in another session, whenever its own is killed", async (t) => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  await using lender = poolLender(server.config());
  await runOperation(lender, (sql) => sql`create table step (kill_after int, number int)`);
  for (let killAfter = 0; killAfter <= STATEMENTS; killAfter++) {
    for (const isHidden of [false, true]) {
      const what = isHidden ? "hidden by the function" : "thrown";
      await t.step(`killed after ${killAfter} statements, errors are ${what}`, async () => {
        for (let round = 0; round < ROUNDS; round++) {
          const failed = runTransaction(lender, async (tx) => {
            for (let number = 0; number < STATEMENTS; number++) {
              if (number === killAfter) await terminateSessions(server);
              await tx`insert into step values (${killAfter}, ${number})`.catch((error) => {
                if (!isHidden) throw error;
              });
            }
            if (killAfter === STATEMENTS) await terminateSessions(server);
          });
          // Unknown only when the service had not noticed yet when it sent the commit.
          const code = killAfter === STATEMENTS ? /^(CONNECTION_LOST|COMMIT_UNKNOWN)$/ : /_LOST$/;
          await assert.rejects(failed, ({ code: actual }) => code.test(actual));
        }
      });
    }
  }
  assert.deepEqual(await server.admin("select * from step"), []);
  await runTransaction(lender, (tx) => tx`select 1`);
  assert.deepEqual(unhandled.reasons, []);
});

/** Where the connection is cut, and how many entries are committed then. */
const cuts: readonly (readonly [Moment, readonly number[]])[] = [
  ["request", [0]],
  ["forwarded", [0, 2]],
  ["answer", [2]],
];
for (const [moment, committed] of cuts) {
  Deno.test(`a connection cut at the ${moment} of the commit leaves it unknown`, async () => {
    await using server = await startPostgres();
    await using proxy = await FaultProxy.start(server.database);
    using unhandled = watchUnhandled();
    await createLedger(server);
    await using lender = poolLender(server.config({ hosts: [proxy.address] }));
    let attempts = 0;
    const transfer = (readOnly: boolean) =>
      runTransaction(lender, async (tx) => {
        attempts++;
        if (!readOnly) await writeTransfer(tx, "a");
        else await tx`select 1`;
      }, { retries: 10, readOnly });

    const cut = proxy.cut(onSql("commit", moment));
    await assert.rejects(transfer(false), { code: "COMMIT_UNKNOWN" });
    await cut.happened();
    assert.equal(attempts, 1);
    await untilNoSessions(server);
    assert.ok(committed.includes((await readLedger(server)).length));

    // Nothing can have been committed, so nothing is unknown.
    const second = proxy.cut(onSql("commit", moment));
    await assert.rejects(transfer(true), { code: "CONNECTION_LOST" });
    await second.happened();
    assert.deepEqual(unhandled.reasons, []);
  });
}

Deno.test("a commit is not cancelled by an abort, and its late answer counts", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await createLedger(server);
  await server.admin(`
    create function wait() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock(1); return null; end $$
  `);
  await server.admin(`
    create constraint trigger slow after insert on ledger deferrable initially deferred
    for each row when (new.leg = 'debit') execute function wait()
  `);
  await using lender = poolLender(server.config({ hosts: [proxy.address] }));
  const abort = new AbortController();
  await using lock = await holdLock(server);
  const transfer = runTransaction(lender, (tx) => writeTransfer(tx, "a"), { signal: abort.signal });
  await untilRunning(server, "commit");
  abort.abort();
  await lock.release();
  await transfer;
  assert.equal((await readLedger(server)).length, 2);
  assert.equal(proxy.stats.cancelRequests, 0);
});

Deno.test("a commit without an answer ends with the timeout, and is unknown", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await createLedger(server);
  await using lender = poolLender(server.config({ hosts: [proxy.address] }));
  const abort = new AbortController();
  const outcome = assert.rejects(
    runTransaction(lender, async (tx) => {
      await writeTransfer(tx, "a");
      proxy.silence("toClient");
    }, { signal: abort.signal }),
    { code: "COMMIT_UNKNOWN" },
  );
  await eventually(async () => (await readLedger(server)).length === 2, {
    what: "it is committed",
  });
  abort.abort();
  await outcome;
  assert.equal(lender.pool.stats().closedCount.error, 1);
});

/** One transfer as a service would do it. */
async function transferTo(lender: TestLender, id: string): Promise<Outcome> {
  try {
    // Sometimes the deadline is too short, in whatever phase.
    const timeoutMs = Math.random() < 0.2 ? Math.random() * 10 : 30_000;
    await runTransaction(lender, (tx) => writeTransfer(tx, id), { timeoutMs, retries: 2 });
    return "committed";
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    return error.code === "COMMIT_UNKNOWN" ? "unknown" : "failed";
  }
}

Deno.test("no transfer is lost or doubled under timeouts, kills and cuts at the commit", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  using unhandled = watchUnhandled();
  await createLedger(server);
  await using lender = poolLender(server.config({ hosts: [proxy.address], maxConnections: 6 }));
  await using workload = new LedgerWorkload({ transfer: (id) => transferTo(lender, id) });
  for (let round = 0; round < 8; round++) {
    for (const moment of ["request", "forwarded", "answer"] as const) {
      await proxy.cut(onSql("commit", moment), round % 2 === 0 ? "reset" : "close").happened();
    }
    await workload.more("committed", 20);
    await terminateSessions(server);
    await workload.more("committed", 20);
  }
  assert.ok(workload.counts.unknown > 0 && workload.counts.failed > 0);
  const outcomes = await workload.stop();
  await lender.pool.close();
  await untilNoSessions(server);
  await assertLedger(server, outcomes);
  assert.deepEqual(unhandled.reasons, []);
});
