import assert from "node:assert/strict";
import { DatabaseError } from "../../../src/database/errors.ts";
import { settle } from "./fake_clock.ts";
import { type FakeResource, type TestPool, testPool } from "./fake_resource.ts";

const RUNS = 100;
const STEPS = 200;
const MAX_OPEN = 3;

/** A small generator of pseudo-random numbers (mulberry32), so that a failing run can be repeated. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Users of a pool who do everything that users may do, in any order. */
class Users {
  readonly test: TestPool;
  readonly held: FakeResource[] = [];
  readonly #random: () => number;
  readonly #controllers: AbortController[] = [];
  readonly #broken = new Set<FakeResource>();
  readonly #servedOrFailed: number[] = [];
  #tickets = 0;
  #unsettled = 0;

  constructor(seed: number) {
    this.#random = seeded(seed);
    this.test = testPool({
      maxOpen: MAX_OPEN,
      maxIdle: 1,
      maxLifetimeMs: 10_000,
      maxIdleTimeMs: 3000,
      random: this.#random,
    });
  }

  step(): void {
    const actions: readonly (readonly [weight: number, action: () => void])[] = [
      [8, () => this.#acquire()],
      [5, () => this.#release()],
      [6, () => this.#openingEnds()],
      [1, () => this.#pick(this.#controllers)?.abort()],
      [1, () => {
        // Nobody may get it, not even before the pool has heard of its death.
        this.#pick(this.test.factory.living)?.die();
        this.#acquire();
      }],
      [2, () => this.#finishCloses()],
      [1, () => this.test.clock.advance(this.#random() * 2000)],
      [0.3, () => this.test.pool.reset()],
    ];
    let left = this.#random() * actions.reduce((sum, [weight]) => sum + weight, 0);
    actions.find(([weight]) => (left -= weight) < 0)?.[1]();
  }

  checkInvariants(): void {
    const stats = this.test.pool.stats();
    const text = JSON.stringify(stats);
    assert.equal(stats.inUse + stats.idle + stats.connecting, stats.open, text);
    assert.ok(stats.open + stats.closing <= MAX_OPEN, text);
    assert.ok(this.test.factory.living.length <= MAX_OPEN, "the other side sees too many");
    assert.equal(stats.inUse, this.held.length, text);
    assert.equal(new Set(this.held).size, this.held.length, "one resource has two users");
    assert.equal(stats.waiting, this.#unsettled, "a waiter was forgotten");
    assert.ok(stats.waiting === 0 || stats.idle === 0, "someone waits beside an idle resource");
    assert.ok(
      stats.waiting <= stats.connecting || stats.open + stats.closing === MAX_OPEN,
      `nothing is opened for a waiter: ${text}`,
    );
    const closed = Object.values(stats.closedCount).reduce((sum, count) => sum + count);
    assert.equal(stats.openedCount - closed, stats.inUse + stats.idle, text);
    const inOrder = this.#servedOrFailed.toSorted((a, b) => a - b);
    assert.deepEqual(this.#servedOrFailed, inOrder, "a waiter was overtaken");
  }

  /** Gives everything back, and closes the pool. */
  async finish(): Promise<void> {
    const { pool, factory, clock } = this.test;
    const closed = pool.close();
    await settle();
    for (const resource of this.held.splice(0)) pool.release(resource);
    this.#finishCloses();
    await closed;
    assert.equal(this.#unsettled, 0, "someone waits forever");
    assert.equal(factory.living.length, 0, "a resource leaked");
    assert.equal(clock.pending, 0, "a timer leaked");
  }

  #acquire(): void {
    const ticket = ++this.#tickets;
    const controller = new AbortController();
    this.#controllers.push(controller);
    this.#unsettled++;
    this.test.pool.acquire({ signal: controller.signal, timeoutMs: 10_000 * this.#random() }).then(
      (resource) => {
        assert.equal(resource.ending, undefined, "a closed resource was handed out");
        assert.ok(!resource.closed && !this.#broken.has(resource), "a broken one was handed out");
        this.held.push(resource);
        this.#servedOrFailed.push(ticket);
      },
      ({ code }: DatabaseError) => {
        if (code === "CONNECTION_REFUSED") this.#servedOrFailed.push(ticket);
      },
    ).finally(() => this.#unsettled--);
  }

  #release(): void {
    const resource = this.#pick(this.held);
    if (resource === undefined) return;
    this.held.splice(this.held.indexOf(resource), 1);
    const broken = this.#random() < 0.1;
    if (broken) this.#broken.add(resource);
    this.test.pool.release(resource, { broken });
  }

  #openingEnds(): void {
    const { factory } = this.test;
    if (factory.pending === 0) return;
    if (this.#random() < 0.7) factory.succeed();
    else factory.fail(new DatabaseError("CONNECTION_REFUSED"));
  }

  #finishCloses(): void {
    for (const resource of this.test.factory.living) {
      if (resource.ending === "close") resource.finishClose();
    }
  }

  #pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#random() * items.length)];
  }
}

Deno.test("whatever its users do, the pool keeps its promises", async () => {
  for (let seed = 1; seed <= RUNS; seed++) {
    const users = new Users(seed);
    try {
      for (let step = 0; step < STEPS; step++) {
        users.step();
        await settle();
        users.checkInvariants();
      }
      await users.finish();
    } catch (error) {
      throw new Error(`The run with seed ${seed} failed`, { cause: error });
    }
  }
});
