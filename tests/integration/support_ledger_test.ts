import assert from "node:assert/strict";
import postgres from "postgres";
import {
  assertLedger,
  compareLedger,
  createLedger,
  type LedgerEntry,
  LedgerWorkload,
  type Outcome,
  readLedger,
  writeTransfer,
} from "../support/ledger.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const both = (id: string): LedgerEntry[] => [{ id, leg: "debit" }, { id, leg: "credit" }];
const NO_FAULTS = { lost: [], doubled: [], resurrected: [], torn: [] };

function compare(outcomes: Record<string, Outcome>, entries: LedgerEntry[]) {
  return compareLedger(new Map(Object.entries(outcomes)), entries);
}

Deno.test("a ledger is right when committed is there, failed is not, unknown is either", () => {
  const outcomes = { a: "committed", b: "failed", c: "unknown", d: "unknown" } as const;
  assert.deepEqual(compare(outcomes, [...both("a"), ...both("c")]), NO_FAULTS);
});

const wrong: [string, Record<string, Outcome>, LedgerEntry[], Record<string, string[]>][] = [
  ["lost", { a: "committed" }, [], { lost: ["a"] }],
  ["doubled", { a: "committed" }, [...both("a"), ...both("a")], { doubled: ["a"] }],
  ["doubled though unknown", { a: "unknown" }, [...both("a"), ...both("a")], { doubled: ["a"] }],
  ["resurrected", { a: "failed" }, both("a"), { resurrected: ["a"] }],
  ["torn", { a: "committed" }, [{ id: "a", leg: "credit" }], { torn: ["a"] }],
  ["torn though unknown", { a: "unknown" }, [{ id: "a", leg: "debit" }], { torn: ["a"] }],
];
for (const [name, outcomes, entries, faults] of wrong) {
  Deno.test(`a transfer that is ${name} is found`, () => {
    assert.deepEqual(compare(outcomes, entries), { ...NO_FAULTS, ...faults });
  });
}

/** Runs a workload of 4 workers until some transfers are done, and gives the outcomes. */
async function work(
  server: TestPostgres,
  transfer: (sql: postgres.Sql, id: string) => Promise<Outcome>,
): Promise<ReadonlyMap<string, Outcome>> {
  await createLedger(server);
  const sql = postgres({ ...server.database, max: 4 });
  try {
    await using workload = new LedgerWorkload({ workers: 4, transfer: (id) => transfer(sql, id) });
    await workload.more("committed", 40);
    return await workload.stop();
  } finally {
    await sql.end();
  }
}

async function commit(sql: postgres.Sql, id: string): Promise<Outcome> {
  await sql.begin((transaction) => writeTransfer(transaction, id));
  return "committed";
}

async function rollBack(sql: postgres.Sql, id: string): Promise<void> {
  await sql.begin(async (transaction) => {
    await writeTransfer(transaction, id);
    throw new Error("rolled back");
  }).catch(() => {});
}

Deno.test("a workload on a good database is right, whatever fails", async () => {
  await using server = await startPostgres();
  const outcomes = await work(server, async (sql, id) => {
    if (id.endsWith("3")) {
      await rollBack(sql, id);
      return "failed";
    }
    await commit(sql, id);
    return id.endsWith("4") ? "unknown" : "committed";
  });
  const kinds = new Set(outcomes.values());
  assert.deepEqual([...kinds].sort(), ["committed", "failed", "unknown"]);
  await assertLedger(server, outcomes);
});

const broken: Record<string, (sql: postgres.Sql, id: string) => Promise<Outcome>> = {
  lost: async (sql, id) => {
    await rollBack(sql, id);
    return "committed";
  },
  doubled: async (sql, id) => {
    await commit(sql, id); // a retry of something that was committed
    return await commit(sql, id);
  },
  resurrected: async (sql, id) => {
    await commit(sql, id);
    return "failed";
  },
  torn: async (sql, id) => {
    // As if the second statement went on in another session, outside the transaction.
    await sql`insert into ledger (id, leg) values (${id}, 'credit')`;
    return "committed";
  },
};
for (const [fault, transfer] of Object.entries(broken)) {
  Deno.test(`one ${fault} transfer among good ones fails the ledger`, async () => {
    await using server = await startPostgres();
    let count = 0;
    let wrong = "";
    const outcomes = await work(server, (sql, id) => {
      if (++count !== 10) return commit(sql, id);
      wrong = id;
      return transfer(sql, id);
    });
    await assert.rejects(assertLedger(server, outcomes), new RegExp(`\n1 ${fault}: ${wrong}$`));
  });
}

Deno.test("a bug in the transfer ends the workload, and stop throws it", async () => {
  await using server = await startPostgres();
  await createLedger(server);
  await using workload = new LedgerWorkload({
    transfer: (id) => id === "1-5" ? Promise.reject(new Error("bug")) : Promise.resolve("failed"),
  });
  await workload.more("committed", 1); // never: it gives up with the workload
  await assert.rejects(workload.stop(), /bug/);
  assert.deepEqual(await readLedger(server), []);
});
