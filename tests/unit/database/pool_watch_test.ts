import assert from "node:assert/strict";
import { loadConfig } from "../../../src/config/mod.ts";
import { DatabaseError, type DatabaseErrorCode } from "../../../src/database/errors.ts";
import { PoolWatch } from "../../../src/database/managed_pool/pool_watch.ts";
import { FakeClock } from "./fake_clock.ts";

const SILENCE_MS = 100;
const CALM_MS = 5_000;

/** The numbers of a pool, and who watches them. */
class Loans {
  readonly clock = new FakeClock();
  readonly stats = { acquireCount: 0, inUse: 0, max: 2, waiting: 0 };
  readonly logged: Readonly<Record<string, unknown>>[] = [];
  stuckCount = 0;
  readonly watch: PoolWatch;

  constructor() {
    const { database } = loadConfig({ env: { DB_HOST: "127.0.0.1" } });
    const log = (fields: Readonly<Record<string, unknown>>) => void this.logged.push(fields);
    this.watch = new PoolWatch({
      name: "primary",
      config: { ...database, pingTimeoutMs: SILENCE_MS },
      logger: { info: log, warn: log, error: log },
      clock: this.clock,
    }, {
      stats: () => this.stats,
      onStuck: () => {
        this.stuckCount++;
        this.watch.acquired(); // by the ping that follows
      },
    });
  }

  lend(): void {
    this.stats.acquireCount++;
    this.stats.inUse++;
    this.watch.acquired();
  }

  takeBack(): void {
    this.stats.inUse--;
    this.watch.released();
  }

  reject(code: DatabaseErrorCode): void {
    this.watch.rejected(new DatabaseError(code));
  }
}

Deno.test("when nothing comes back for long enough, that is told, again and again", () => {
  const loans = new Loans();
  loans.lend();
  loans.clock.advance(SILENCE_MS - 1);
  assert.equal(loans.stuckCount, 0);
  loans.clock.advance(1);
  assert.equal(loans.stuckCount, 1);
  loans.clock.advance(2 * SILENCE_MS);
  assert.equal(loans.stuckCount, 3);
  loans.watch.stop();
  assert.equal(loans.clock.pending, 0);
});

Deno.test("while something comes back, nothing is told", () => {
  const loans = new Loans();
  loans.lend();
  for (let round = 0; round < 5; round++) {
    loans.lend();
    loans.takeBack();
    loans.clock.advance(SILENCE_MS);
  }
  assert.equal(loans.stuckCount, 0);
  loans.watch.stop();
});

Deno.test("nothing is watched while nothing is lent", () => {
  const loans = new Loans();
  loans.lend();
  loans.takeBack();
  loans.clock.advance(SILENCE_MS);
  assert.equal(loans.clock.pending, 0);
  assert.equal(loans.stuckCount, 0);
  loans.lend();
  assert.equal(loans.clock.pending, 1);
  loans.watch.stop();
});

Deno.test("callers that are rejected by a full pool are logged once, and when that is over", () => {
  const loans = new Loans();
  loans.lend();
  loans.reject("ACQUIRE_TIMEOUT");
  assert.deepEqual(loans.logged, [], "a connection could still be opened");
  loans.lend();
  for (const code of ["CONNECT_TIMEOUT", "QUEUE_FULL", "ACQUIRE_TIMEOUT"] as const) {
    loans.reject(code);
  }
  assert.deepEqual(loans.logged, [{
    event: "database.pool_exhausted",
    pool: "primary",
    code: "QUEUE_FULL",
    max: 2,
    waiting: 0,
  }]);
  loans.takeBack();
  assert.equal(loans.logged.length, 1, "callers are rejected in bursts");
  loans.lend();
  loans.clock.advance(CALM_MS);
  loans.takeBack();
  assert.deepEqual(loans.logged[1], {
    event: "database.pool_relieved",
    pool: "primary",
    refused: 2,
    exhausted_ms: CALM_MS,
  });
  loans.watch.stop();
});
