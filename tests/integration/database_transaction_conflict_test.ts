import assert from "node:assert/strict";
import { runOperation } from "../../src/database/operation/operation.ts";
import { runTransaction } from "../../src/database/operation/transaction.ts";
import type { TransactionOptions } from "../../src/database/operation/transaction.ts";
import type { Transaction } from "../../src/database/operation/transaction_scope.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { poolLender, type TestLender } from "../support/database_lender.ts";

/** A server with two accounts of balance 0. */
async function setUp(): Promise<AsyncDisposable & { server: TestPostgres; lender: TestLender }> {
  await using cleanup = new AsyncDisposableStack();
  const server = cleanup.use(await startPostgres({ settings: { deadlock_timeout: "50ms" } }));
  const lender = cleanup.use(poolLender(server.config()));
  await runOperation(lender, (sql) => sql`create table account (id int, balance int)`);
  await runOperation(lender, (sql) => sql`insert into account values (1, 0), (2, 0)`);
  const owned = cleanup.move();
  return { server, lender, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function balances(server: TestPostgres): Promise<number[]> {
  const rows = await server.admin<{ balance: number }>("select balance from account order by id");
  return rows.map(({ balance }) => balance);
}

const increment = (tx: Transaction, id: number) =>
  tx`update account set balance = balance + 1 where id = ${id}`;

/** Runs two transactions whose first attempts do not go on before both have come to the same point. */
async function conflict(
  lender: TestLender,
  options: TransactionOptions,
  work: (tx: Transaction, party: number, meet: () => Promise<void>) => Promise<void>,
): Promise<{ codes: string[]; attempts: number }> {
  const met = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let attempts = 0;
  const run = (party: number) =>
    runTransaction(lender, (tx) => {
      attempts++;
      return work(tx, party, async () => {
        met[party]!.resolve();
        await Promise.all(met.map(({ promise }) => promise));
      });
    }, options).then(() => "committed", (error) => error.code);
  const codes = await Promise.all([run(0), run(1)]);
  return { codes: codes.sort(), attempts };
}

/** Each locks one account and then wants the other's. */
async function deadlock(tx: Transaction, party: number, meet: () => Promise<void>): Promise<void> {
  await increment(tx, party === 0 ? 1 : 2);
  await meet();
  await increment(tx, party === 0 ? 2 : 1);
}

/** Each changes what the other has read. */
async function skew(tx: Transaction, party: number, meet: () => Promise<void>): Promise<void> {
  await tx`select sum(balance) from account`;
  await meet();
  await increment(tx, party === 0 ? 1 : 2);
}

Deno.test("a deadlock has its own error code, and is retried if retries are allowed", async () => {
  await using test = await setUp();
  const once = await conflict(test.lender, {}, deadlock);
  assert.deepEqual(once, { codes: ["DEADLOCK", "committed"], attempts: 2 });
  assert.deepEqual(await balances(test.server), [1, 1]);

  const repeated = await conflict(test.lender, { retries: 10 }, deadlock);
  assert.deepEqual(repeated.codes, ["committed", "committed"]);
  assert.ok(repeated.attempts > 2);
  assert.deepEqual(await balances(test.server), [3, 3]);
});

Deno.test("a serialization failure has its own error code, and is retried if retries are allowed", async () => {
  await using test = await setUp();
  const isolation = "serializable";
  const once = await conflict(test.lender, { isolation }, skew);
  assert.deepEqual(once, { codes: ["SERIALIZATION_FAILURE", "committed"], attempts: 2 });

  const repeated = await conflict(test.lender, { isolation, retries: 10 }, skew);
  assert.deepEqual(repeated.codes, ["committed", "committed"]);
  assert.ok(repeated.attempts > 2);
  const [first, second] = await balances(test.server);
  assert.equal(first! + second!, 3);
});

Deno.test("a conflict that the function hides is repeated too", async () => {
  await using test = await setUp();
  const hide = (tx: Transaction, party: number, meet: () => Promise<void>) =>
    deadlock(tx, party, meet).catch(() => {});
  const { codes } = await conflict(test.lender, { retries: 10 }, hide);
  assert.deepEqual(codes, ["committed", "committed"]);
  assert.deepEqual(await balances(test.server), [2, 2]);
});

Deno.test("a deferred constraint fails at the commit, and is not repeated", async () => {
  await using test = await setUp();
  await test.server.admin(
    "alter table account add constraint one unique (id) deferrable initially deferred",
  );
  let attempts = 0;
  const twice = (tx: Transaction) => {
    attempts++;
    return tx`insert into account values (1, 0)`;
  };
  await assert.rejects(runTransaction(test.lender, twice, { retries: 10 }), {
    code: "UNIQUE_VIOLATION",
  });
  assert.equal(attempts, 1);
  assert.deepEqual(await balances(test.server), [0, 0]);
});

Deno.test("a lock that is not to be had is a LOCK_TIMEOUT", async () => {
  await using test = await setUp();
  const lock = (tx: Transaction) => tx`select from account where id = 1 for update nowait`;
  await runTransaction(test.lender, async (tx) => {
    await lock(tx);
    await assert.rejects(runTransaction(test.lender, lock), { code: "LOCK_TIMEOUT" });
  });
});
