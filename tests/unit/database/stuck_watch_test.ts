import assert from "node:assert/strict";
import { StuckWatch } from "../../../src/database/lane/stuck_watch.ts";
import { FakeClock } from "./fake_clock.ts";

const SILENCE_MS = 100;

/** The numbers of a pool, and who watches them. */
class Loans {
  readonly clock = new FakeClock();
  readonly stats = { acquireCount: 0, inUse: 0 };
  stuckCount = 0;
  readonly watch = new StuckWatch({
    silenceMs: SILENCE_MS,
    stats: () => this.stats,
    onStuck: () => {
      this.stuckCount++;
      this.watch.lent(); // to whoever looks why
    },
    clock: this.clock,
  });

  lend(): void {
    this.stats.acquireCount++;
    this.stats.inUse++;
    this.watch.lent();
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
    loans.stats.inUse--;
    loans.clock.advance(SILENCE_MS);
  }
  assert.equal(loans.stuckCount, 0);
  loans.watch.stop();
});

Deno.test("nothing is watched while nothing is lent", () => {
  const loans = new Loans();
  loans.lend();
  loans.stats.inUse--;
  loans.clock.advance(SILENCE_MS);
  assert.equal(loans.clock.pending, 0);
  assert.equal(loans.stuckCount, 0);
  loans.lend();
  assert.equal(loans.clock.pending, 1);
  loans.watch.stop();
});
