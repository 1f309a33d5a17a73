import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "./condition.ts";
import type { TestDatabase } from "./postgres.ts";

/** What the caller of a transfer was told; `unknown`: it may have been committed or not. */
export type Outcome = "committed" | "failed" | "unknown";

/** A row of the ledger table. Nothing in the table stops a second one: finding it is the point. */
export interface LedgerEntry {
  readonly id: string;
  readonly leg: string;
}

/** Ids of the transfers that break the ledger's promise, by how they do it. */
export interface LedgerFaults {
  /** Committed, but not in the table. */
  readonly lost: readonly string[];
  /** In the table more than once. */
  readonly doubled: readonly string[];
  /** Failed, but in the table. */
  readonly resurrected: readonly string[];
  /** Of its two legs only one is there: the transaction was torn apart. */
  readonly torn: readonly string[];
}

const TABLE = "ledger";
const LEGS = ["debit", "credit"] as const;
/** Keeps workers from spinning while every transfer fails at once. */
const FAILURE_PAUSE_MS = 5;

/** A tagged template that runs SQL in a transaction, as postgres.js and the manager give it. */
export type TransactionSql = (
  strings: TemplateStringsArray,
  ...parameters: string[]
) => PromiseLike<unknown>;

/** Makes the ledger's table, for the service's user. Rows lock nothing of each other. */
export async function createLedger(server: TestDatabase): Promise<void> {
  await server.admin(`create table ${TABLE} (id text not null, leg text not null)`);
  await server.admin(`grant select, insert on ${TABLE} to public`);
}

/** Both legs of a transfer, as two statements that belong in one transaction. */
export async function writeTransfer(sql: TransactionSql, id: string): Promise<void> {
  for (const leg of LEGS) await sql`insert into ledger (id, leg) values (${id}, ${leg})`;
}

/** All that is committed. End the sessions of the workload first: one could still commit. */
export async function readLedger(server: TestDatabase): Promise<LedgerEntry[]> {
  return await server.admin<{ id: string; leg: string }>(`select id, leg from ${TABLE}`);
}

/** Compares what callers were told with what the table has. */
export function compareLedger(
  outcomes: ReadonlyMap<string, Outcome>,
  entries: readonly LedgerEntry[],
): LedgerFaults {
  const legs = Map.groupBy(entries, ({ id }) => id);
  const ids = [...new Set([...outcomes.keys(), ...legs.keys()])];
  const count = (id: string, leg: string) =>
    legs.get(id)?.filter((entry) => entry.leg === leg).length ?? 0;
  return {
    lost: ids.filter((id) => outcomes.get(id) === "committed" && !legs.has(id)),
    doubled: ids.filter((id) => LEGS.some((leg) => count(id, leg) > 1)),
    resurrected: ids.filter((id) => outcomes.get(id) === "failed" && legs.has(id)),
    torn: ids.filter((id) => count(id, "debit") !== count(id, "credit")),
  };
}

/** @throws {Error} When a transfer was lost, doubled, resurrected or torn; with their ids. */
export async function assertLedger(
  server: TestDatabase,
  outcomes: ReadonlyMap<string, Outcome>,
): Promise<void> {
  const faults = Object.entries(compareLedger(outcomes, await readLedger(server)))
    .filter(([, ids]) => ids.length > 0);
  if (faults.length === 0) return;
  const lines = faults.map(([fault, ids]) => `${ids.length} ${fault}: ${ids.slice(0, 10)}`);
  throw new Error(`The ledger is wrong after ${outcomes.size} transfers.\n${lines.join("\n")}`);
}

export interface LedgerWorkloadOptions {
  /**
   * Transfers at the same time.
   *
   * @default 8
   */
  readonly workers?: number;
  /**
   * Does one transfer and says what became of it. To throw is a bug: the workload ends, and
   * {@linkcode LedgerWorkload.stop} throws it.
   */
  readonly transfer: (id: string) => Promise<Outcome>;
}

/**
 * Workers that make transfers, one after the other, until they are stopped.
 *
 * Test servers commit asynchronously unless told otherwise: one that is killed would lose
 * transfers, and rightly so.
 *
 * ```ts
 * await using server = await startPostgres({ settings: { synchronous_commit: "on" } });
 * await createLedger(server);
 * await using workload = new LedgerWorkload({ transfer });
 * await workload.more("committed", 100);
 * await server.kill();
 * await server.start();
 * await workload.more("committed", 100); // it has recovered
 * const outcomes = await workload.stop();
 * await database.close();
 * await assertLedger(server, outcomes);
 * ```
 */
export class LedgerWorkload implements AsyncDisposable {
  readonly #transfer: (id: string) => Promise<Outcome>;
  readonly #outcomes = new Map<string, Outcome>();
  readonly #counts = { committed: 0, failed: 0, unknown: 0 };
  readonly #workers: Promise<PromiseSettledResult<void>[]>;
  #stopped = false;

  constructor({ workers = 8, transfer }: LedgerWorkloadOptions) {
    this.#transfer = transfer;
    this.#workers = Promise.allSettled(
      Array.from({ length: workers }, (_, worker) => this.#work(worker)),
    );
  }

  get counts(): Readonly<Record<Outcome, number>> {
    return { ...this.#counts };
  }

  /** Waits until so many more transfers have this outcome. */
  async more(outcome: Outcome, count: number): Promise<void> {
    const goal = this.#counts[outcome] + count;
    await eventually(() => this.#stopped || this.#counts[outcome] >= goal, {
      what: `${count} more transfers are ${outcome}`,
    });
  }

  /**
   * Lets the workers finish their last transfer.
   *
   * @returns The outcome of each transfer by its id.
   * @throws What a transfer has thrown.
   */
  async stop(): Promise<ReadonlyMap<string, Outcome>> {
    this.#stopped = true;
    for (const result of await this.#workers) {
      if (result.status === "rejected") throw result.reason;
    }
    return this.#outcomes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    await this.#workers;
  }

  async #work(worker: number): Promise<void> {
    try {
      for (let turn = 1; !this.#stopped; turn++) {
        const id = `${worker}-${turn}`;
        const outcome = await this.#transfer(id);
        this.#outcomes.set(id, outcome);
        this.#counts[outcome]++;
        if (outcome !== "committed") await delay(FAILURE_PAUSE_MS);
      }
    } finally {
      this.#stopped = true; // a bug in one transfer ends them all
    }
  }
}
