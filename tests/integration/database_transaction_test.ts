import assert from "node:assert/strict";
import { runTransaction } from "../../src/database/operation/transaction.ts";
import type { Transaction } from "../../src/database/operation/transaction_scope.ts";
import { runOperation } from "../../src/database/operation/operation.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { poolLender, type TestLender } from "../support/database_lender.ts";
import { untilRunning } from "../support/database_support.ts";

/** A server with an empty table `entry`, and a lender of one connection. */
async function setUp(): Promise<AsyncDisposable & { server: TestDatabase; lender: TestLender }> {
  await using cleanup = new AsyncDisposableStack();
  const server = cleanup.use(await createDatabase());
  const lender = cleanup.use(poolLender(server.config({ maxConnections: 1 })));
  await runOperation(lender, (sql) => sql`create table entry (id int primary key)`);
  const owned = cleanup.move();
  return { server, lender, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

const insert = (tx: Transaction, id: number) => tx`insert into entry values (${id})`;

/** What is committed. */
async function entries(server: TestDatabase): Promise<number[]> {
  const rows = await server.admin<{ id: number }>("select id from entry order by id");
  return rows.map(({ id }) => id);
}

Deno.test("a transaction commits, and returns the result of its function", async () => {
  await using test = await setUp();
  const result = await runTransaction(test.lender, async (tx) => {
    await insert(tx, 1);
    void insert(tx, 2).then();
    assert.deepEqual(await entries(test.server), []);
    return "done";
  });
  assert.equal(result, "done");
  assert.deepEqual(await entries(test.server), [1, 2]);
});

Deno.test("a transaction rolls back when its function rejects, and keeps the connection", async () => {
  await using test = await setUp();
  const own = new Error("own");
  await assert.rejects(
    runTransaction(test.lender, async (tx) => {
      await insert(tx, 1);
      throw own;
    }),
    own,
  );
  await assert.rejects(
    runTransaction(test.lender, async (tx) => {
      await insert(tx, 1);
      await insert(tx, 1);
    }),
    { code: "UNIQUE_VIOLATION" },
  );
  assert.deepEqual(await entries(test.server), []);
  assert.equal(test.lender.pool.stats().openedCount, 1);
});

Deno.test("a timeout and an abort roll back, and keep the connection", async () => {
  await using test = await setUp();
  const sleep = async (tx: Transaction) => {
    await insert(tx, 1);
    await tx`select pg_sleep(600)`;
  };
  await assert.rejects(runTransaction(test.lender, sleep, { timeoutMs: 100 }), {
    code: "STATEMENT_TIMEOUT",
  });
  const abort = new AbortController();
  const aborted = assert.rejects(runTransaction(test.lender, sleep, { signal: abort.signal }), {
    code: "ABORTED",
  });
  await untilRunning(test.server, "pg_sleep");
  abort.abort();
  await aborted;
  assert.deepEqual(await entries(test.server), []);
  assert.equal(test.lender.pool.stats().openedCount, 1);
});

Deno.test("a transaction that was rolled back by the abort cannot succeed", async () => {
  await using test = await setUp();
  const abort = new AbortController();
  await assert.rejects(
    runTransaction(test.lender, async (tx) => {
      await insert(tx, 1);
      abort.abort();
      return "done";
    }, { signal: abort.signal }),
    { code: "ABORTED" },
  );
  assert.deepEqual(await entries(test.server), []);
});

Deno.test("a function that hides a failure gets no commit", async () => {
  await using test = await setUp();
  const hide = async (tx: Transaction) => {
    await insert(tx, 1);
    await insert(tx, 1).catch(() => {});
  };
  const goOn = async (tx: Transaction) => {
    await hide(tx);
    await insert(tx, 2);
  };
  for (const work of [hide, goOn]) {
    await assert.rejects(runTransaction(test.lender, work), ({ code, cause }) => {
      assert.equal(code, "TRANSACTION_ABORTED");
      assert.equal(cause.code, "UNIQUE_VIOLATION");
      return true;
    });
  }
  assert.deepEqual(await entries(test.server), []);
  await runTransaction(test.lender, (tx) => insert(tx, 3));
});

Deno.test("a statement after the end of its transaction is refused", async () => {
  await using test = await setUp();
  const { tx } = await runTransaction(test.lender, (tx) => ({ tx }));
  await assert.rejects(insert(tx, 1), { code: "INVALID_USE", message: /no longer valid/ });
  await assert.rejects(tx.savepoint((tx) => insert(tx, 3)), { code: "INVALID_USE" });
  assert.deepEqual(await entries(test.server), []);
});

Deno.test("a transaction has the isolation and the access mode that it asks for", async () => {
  await using test = await setUp();
  const settings = (tx: Transaction) =>
    tx`
      select current_setting('transaction_isolation') as isolation,
        current_setting('transaction_read_only') as read_only,
        current_setting('transaction_deferrable') as deferrable
    `.then(([row]) => Object.values(row!));
  const { lender } = test;
  assert.deepEqual(await runTransaction(lender, settings), ["read committed", "off", "off"]);
  for (const isolation of ["read committed", "repeatable read", "serializable"] as const) {
    for (const readOnly of [true, false]) {
      const found = await runTransaction(lender, settings, { isolation, readOnly });
      assert.deepEqual(found, [isolation, readOnly ? "on" : "off", "off"]);
    }
  }
  assert.deepEqual(
    await runTransaction(lender, settings, {
      isolation: "serializable",
      readOnly: true,
      deferrable: true,
    }),
    ["serializable", "on", "on"],
  );
  await assert.rejects(runTransaction(lender, (tx) => insert(tx, 1), { readOnly: true }), {
    code: "READ_ONLY",
  });
});

Deno.test("a savepoint undoes what is inside of it, and nothing else", async () => {
  await using test = await setUp();
  await runTransaction(test.lender, async (tx) => {
    await insert(tx, 1);
    const failed = tx.savepoint(async (tx) => {
      await insert(tx, 2);
      await insert(tx, 1);
    });
    await assert.rejects(failed, { code: "UNIQUE_VIOLATION" });
    const kept = await tx.savepoint(async (tx) => {
      await insert(tx, 3);
      await assert.rejects(tx.savepoint((tx) => insert(tx, 1)), { code: "UNIQUE_VIOLATION" });
      await tx.savepoint((tx) => insert(tx, 4));
      return "kept";
    });
    assert.equal(kept, "kept");
    await insert(tx, 5);
  });
  assert.deepEqual(await entries(test.server), [1, 3, 4, 5]);
});

Deno.test("a savepoint that hides a failure fails, and the transaction can go on", async () => {
  await using test = await setUp();
  await runTransaction(test.lender, async (tx) => {
    await insert(tx, 1);
    await assert.rejects(
      tx.savepoint((tx) => insert(tx, 1).catch(() => {})),
      { code: "TRANSACTION_ABORTED" },
    );
    await insert(tx, 2);
  });
  assert.deepEqual(await entries(test.server), [1, 2]);
});

Deno.test("while a savepoint is open, only its own handle can be used", async () => {
  await using test = await setUp();
  await runTransaction(test.lender, async (tx) => {
    let kept = tx;
    await tx.savepoint(async (inner) => {
      kept = inner;
      await assert.rejects(insert(tx, 1), { code: "INVALID_USE" });
      await assert.rejects(tx.savepoint((tx) => insert(tx, 1)), { code: "INVALID_USE" });
      await insert(inner, 2);
    });
    await assert.rejects(insert(kept, 3), { code: "INVALID_USE" });
    await insert(tx, 4);
  });
  assert.deepEqual(await entries(test.server), [2, 4]);
});
