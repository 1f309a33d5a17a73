import assert from "node:assert/strict";
import { PoolError } from "../../../../src/database/pool/mod.ts";
import { settle } from "../fake_clock.ts";
import { type FakeResource, type TestPool, testPool } from "./fake_resource.ts";

/** One thing that happens to a pool. Indexes are taken modulo what there is to choose from. */
export type Step =
  | { readonly do: "acquire"; readonly timeoutMs: number }
  | { readonly do: "tryAcquire" | "reset" | "empty" | "rejectWaiters" | "warmUp" }
  | { readonly do: "finishCloses" }
  | { readonly do: "abort" | "break" | "die" | "release"; readonly index: number }
  | { readonly do: "openSucceeds" | "openFails"; readonly index: number }
  | { readonly do: "checkSucceeds" | "checkFails"; readonly index: number }
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "close"; readonly patienceMs: number };

/** The limits that a run is made with. */
export interface Limits {
  readonly max: number;
  readonly maxConnecting: number;
  readonly maxIdle: number;
  readonly minIdle: number;
  readonly maxLifetimeMs: number;
  readonly maxIdleTimeMs: number;
  readonly acquireQueueLimit: number;
  readonly idleCheckAfterMs: number;
}

/** How often something happened, so that a test can tell that it happened at all. */
export type Tally = Map<string, number>;

const LEAK_MS = 500;

interface Check extends PromiseWithResolvers<void> {
  readonly resource: FakeResource;
}

/** Users of a pool who do everything that users may do, and a world that does its worst. */
export class Users {
  readonly #limits: Limits;
  readonly #tally: Tally;
  /** What has happened in this run. */
  readonly #seen: Tally = new Map();
  readonly #test: TestPool;
  readonly #held: FakeResource[] = [];
  /** What nobody may get any more. */
  readonly #condemned = new Set<FakeResource>();
  readonly #controllers: AbortController[] = [];
  /** Tickets in the order in which their callers were served or got an opening's error. */
  readonly #turns: number[] = [];
  readonly #violations: unknown[] = [];
  #checks: Check[] = [];
  /** Whether the pool opens only what someone waits for. */
  #isEmptied = false;
  #closes = 0;
  #closed = 0;
  /** When the least patient close destroys what is in use, on the clock of the pool. */
  #patientUntil = Infinity;
  #leaks = 0;
  #tickets = 0;
  #waiting = 0;

  constructor(limits: Limits, tally: Tally) {
    this.#limits = limits;
    this.#tally = tally;
    this.#test = testPool({
      ...limits,
      open: (signal) => this.#open(signal),
      random: () => 0.5,
      leakWarningAfterMs: LEAK_MS,
      onLeak: ({ heldMs }) => {
        assert.ok(heldMs >= LEAK_MS);
        this.#leaks++;
      },
      check: (resource) => {
        const check = { ...Promise.withResolvers<void>(), resource };
        this.#checks.push(check);
        return check.promise;
      },
      checkTimeoutMs: 40,
    });
  }

  async step(step: Step): Promise<void> {
    this.#do(step);
    await settle();
    if (this.#violations.length > 0) throw this.#violations[0];
    this.#checkInvariants();
    if (this.#isClosing) this.#checkClosing();
  }

  /** Gives everything back to the pool, which must have been closed: everybody must be done then. */
  async finish(): Promise<void> {
    const { pool, factory, clock } = this.#test;
    while (this.#held.length > 0) await this.step({ do: "release", index: 0 });
    await this.step({ do: "finishCloses" });
    assert.equal(this.#closed, this.#closes, "a close waits forever");
    assert.equal(this.#waiting, 0, "someone waits forever");
    assert.deepEqual(factory.living, [], "a resource leaked");
    assert.equal(clock.pending, 0, "a timer leaked");
    const { openedCount, closedCount, ...counts } = pool.stats();
    assert.equal(openedCount, total(closedCount));
    const seen = (what: string) => this.#seen.get(what) ?? 0;
    assert.equal(counts.acquireCount, seen("acquired"));
    assert.equal(counts.waitCount, seen("waits"));
    assert.equal(counts.acquireTimeoutCount, seen("ACQUIRE_TIMEOUT"));
    assert.equal(counts.rejectedCount, seen("QUEUE_FULL"));
    for (const [reason, count] of Object.entries(closedCount)) this.#count(reason, count);
    this.#count("leaks", this.#leaks);
    for (const [what, times] of this.#seen) add(this.#tally, what, times);
  }

  #do(step: Step): void {
    const { pool, factory, clock } = this.#test;
    switch (step.do) {
      case "acquire":
        return this.#acquire(step.timeoutMs);
      case "tryAcquire": {
        const resource = pool.tryAcquire();
        if (resource !== undefined) this.#took(resource);
        return;
      }
      case "abort":
        return pick(this.#controllers, step.index)?.abort(new Error("aborted"));
      case "release":
        return this.#release(step.index, false);
      case "break":
        return this.#release(step.index, true);
      case "die":
        return pick(factory.living, step.index)?.die();
      case "openSucceeds":
        return void (factory.pending > 0 && factory.succeed(step.index));
      case "openFails":
        return factory.fail(new Error("opening failed"), step.index);
      case "checkSucceeds":
        return this.#endCheck(step.index)?.resolve();
      case "checkFails":
        return this.#failCheck(this.#endCheck(step.index));
      case "pass":
        return clock.advance(step.ms);
      case "finishCloses":
        return this.#finishCloses();
      case "reset":
      case "empty":
        for (const resource of factory.living) this.#condemned.add(resource);
        this.#isEmptied ||= step.do === "empty";
        return pool[step.do]();
      case "rejectWaiters":
        return pool.rejectWaiters(() => new Error("turned away"));
      case "warmUp":
        this.#isEmptied = false;
        return pool.warmUp();
      case "close":
        return this.#close(step.patienceMs);
    }
  }

  get #isClosing(): boolean {
    return this.#closes > 0;
  }

  /** What is being opened or checked; the statistics count the latter as in use. */
  get #preparing(): number {
    const { pool } = this.#test;
    const { connecting, inUse } = pool.stats();
    return connecting + inUse - pool.inUse.length;
  }

  #open(signal: AbortSignal): Promise<FakeResource> {
    const { pool, factory } = this.#test;
    if (this.#isEmptied && this.#preparing > pool.stats().waiting) {
      this.#violated(new Error("an emptied pool opens what nobody waits for"));
    }
    return factory.open(signal);
  }

  #close(timeoutMs: number): void {
    const { pool, clock } = this.#test;
    this.#closes++;
    this.#patientUntil = Math.min(this.#patientUntil, clock.now() + timeoutMs);
    pool.close({ timeoutMs }).then(() => this.#closed++).catch(this.#violated);
    // No patience at all is over now.
    clock.advance(0);
  }

  #acquire(timeoutMs: number): void {
    const { pool } = this.#test;
    const ticket = ++this.#tickets;
    const isLate = this.#isClosing;
    const controller = new AbortController();
    this.#controllers.push(controller);
    const acquired = pool.acquire({ signal: controller.signal, timeoutMs });
    const { waiting } = pool.stats();
    // More wait now than something is on the way for: one of them is this caller.
    if (waiting > this.#waiting && waiting > this.#preparing) this.#count("waits", 1);
    this.#waiting++;
    acquired.then(
      (resource) => {
        this.#took(resource);
        this.#turns.push(ticket);
      },
      (error: Error) => {
        const why = error instanceof PoolError ? error.code : error.message;
        this.#count(why, 1);
        if (why === "opening failed") this.#turns.push(ticket);
        if (isLate) assert.equal(why, "POOL_CLOSED");
      },
    ).finally(() => this.#waiting--).catch(this.#violated);
  }

  /** Kept for the end of the step: a rejection that nobody handles would end the whole run. */
  readonly #violated = (violation: unknown): void => void this.#violations.push(violation);

  #took(resource: FakeResource): void {
    assert.ok(!this.#isClosing, "a closed pool lends");
    assert.equal(resource.ending, undefined, "a closed resource was handed out");
    assert.ok(!resource.closed && !this.#condemned.has(resource), "a bad one was handed out");
    assert.ok(!this.#held.includes(resource), "one resource has two users");
    this.#held.push(resource);
    this.#count("acquired", 1);
  }

  #release(index: number, broken: boolean): void {
    const resource = pick(this.#held, index);
    if (resource === undefined) return;
    this.#held.splice(this.#held.indexOf(resource), 1);
    if (broken) this.#condemned.add(resource);
    if (wasTaken(resource)) this.#count("takenAway", 1);
    this.#test.pool.release(resource, { broken });
  }

  /** Some of the checks have been given up by the pool; to end them then changes nothing. */
  #endCheck(index: number): Check | undefined {
    const check = pick(this.#checks, index);
    this.#checks = this.#checks.filter((other) => other !== check);
    if (check !== undefined) this.#count("checks", 1);
    return check;
  }

  #failCheck(check: Check | undefined): void {
    if (check === undefined) return;
    check.reject(new Error("no answer"));
    // Else the pool has given up on it before.
    if (check.resource.ending !== undefined) return;
    this.#condemned.add(check.resource);
    this.#count("failedChecks", 1);
  }

  #finishCloses(): void {
    for (const resource of this.#test.factory.living) {
      if (resource.ending === "close") resource.finishClose();
    }
  }

  #checkInvariants(): void {
    const { pool, factory } = this.#test;
    const { max, maxConnecting, acquireQueueLimit } = this.#limits;
    const stats = pool.stats();
    const text = JSON.stringify(stats);
    assert.equal(stats.inUse + stats.idle + stats.connecting, stats.open, text);
    assert.ok(stats.open + stats.closing <= max, text);
    assert.ok(factory.living.length <= max, "the other side sees too many");
    assert.ok(stats.connecting <= maxConnecting, text);
    assert.ok(stats.idle <= Math.max(this.#limits.maxIdle, this.#limits.minIdle), text);
    assert.equal(stats.connecting, factory.pending, "an opening is not counted");
    assert.equal(stats.openedCount - total(stats.closedCount), stats.inUse + stats.idle, text);

    const lent = this.#held.filter((resource) => !wasTaken(resource));
    const checking = stats.inUse - lent.length;
    assert.ok(checking >= 0 && checking <= this.#checks.length, text);
    assert.equal(stats.waiting, this.#waiting, "a waiter was forgotten");
    const preparing = stats.connecting + checking;
    assert.ok(stats.waiting <= preparing || stats.idle === 0, `waits beside an idle one: ${text}`);
    assert.ok(
      stats.waiting <= preparing || stats.open + stats.closing === max ||
        stats.connecting === maxConnecting,
      `nothing is opened for a waiter: ${text}`,
    );
    // A caller counted on something that another got: never more than were let in that way.
    assert.ok(stats.waiting <= acquireQueueLimit + max, text);
    assert.deepEqual(this.#turns, this.#turns.toSorted((a, b) => a - b), "out of order");
  }

  #checkClosing(): void {
    const { pool, clock } = this.#test;
    const stats = pool.stats();
    const text = JSON.stringify(stats);
    const isPatient = clock.now() < this.#patientUntil;
    assert.equal(stats.idle + stats.connecting + stats.waiting, 0, text);
    if (isPatient) assert.ok(!this.#held.some(wasTaken), "taken away too early");
    else assert.equal(stats.open, 0, `not taken away: ${text}`);
    const isOver = !isPatient || stats.open + stats.closing === 0;
    assert.equal(this.#closed, isOver ? this.#closes : 0, `closed ${isOver}: ${text}`);
  }

  #count(what: string, times: number): void {
    add(this.#seen, what, times);
  }
}

function add(tally: Tally, what: string, times: number): void {
  tally.set(what, (tally.get(what) ?? 0) + times);
}

/** Whether a close has lost its patience with the resource's user. */
function wasTaken({ ending }: FakeResource): boolean {
  return ending === "destroy";
}

function pick<T>(items: readonly T[], index: number): T | undefined {
  return items[index % items.length];
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count);
}
