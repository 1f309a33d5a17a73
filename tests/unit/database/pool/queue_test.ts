import assert from "node:assert/strict";
import { settle } from "../fake_clock.ts";
import { ACQUIRE_TIMEOUT_MS, acquireOne, type TestPool, testPool } from "./fake_resource.ts";

Deno.test("when the queue is full, the next caller is rejected immediately", async () => {
  const test = testPool({ max: 1, acquireQueueLimit: 2 });
  const held = await acquireOne(test);
  const waits = [test.pool.acquire(), test.pool.acquire()];
  await assert.rejects(test.pool.acquire(), {
    name: "PoolError",
    code: "QUEUE_FULL",
    message: /1 of 1 in use, 0 connecting, 2 waiting/,
  });
  assert.equal(test.pool.stats().rejectedCount, 1);

  test.pool.release(held);
  test.pool.release(await waits[0]!);
  assert.equal(await waits[1], held);
  assert.equal(test.pool.stats().waitCount, 2);
});

Deno.test("a caller for whom something can be opened is not in the queue", async () => {
  const test = testPool({ max: 2, acquireQueueLimit: 0 });
  const waits = [test.pool.acquire(), test.pool.acquire()];
  await assert.rejects(test.pool.acquire(), { code: "QUEUE_FULL" });
  const opened = [test.factory.succeed(), test.factory.succeed()];
  assert.deepEqual(await Promise.all(waits), opened);
  assert.equal(test.pool.stats().waitCount, 0);
});

Deno.test("a place in the queue is free again after a timeout or an abort", async () => {
  const test = testPool({ max: 1, acquireQueueLimit: 1 });
  const held = await acquireOne(test);
  const late = test.pool.acquire({ timeoutMs: 10 });
  test.clock.advance(10);
  await assert.rejects(late, { code: "ACQUIRE_TIMEOUT" });
  const controller = new AbortController();
  const aborted = test.pool.acquire({ signal: controller.signal });
  controller.abort();
  await assert.rejects(aborted, { name: "AbortError" });
  const next = test.pool.acquire();
  test.pool.release(held);
  assert.equal(await next, held);
});

Deno.test("a caller whose own deadline ends the wait counts as timed out", async () => {
  const test = testPool({ max: 1 });
  await acquireOne(test);
  const controller = new AbortController();
  const late = test.pool.acquire({ signal: controller.signal });
  controller.abort(new DOMException("Too late", "TimeoutError"));
  await assert.rejects(late, { name: "TimeoutError" });
  assert.equal(test.pool.stats().acquireTimeoutCount, 1);
});

Deno.test("what says that a caller's time was over can be told by the options", async () => {
  const reason = new Error("the whole operation took too long");
  const test = testPool({ max: 1, isTimeout: (error) => error === reason });
  await acquireOne(test);
  for (const cause of [reason, new DOMException("Too late", "TimeoutError")]) {
    const controller = new AbortController();
    const late = test.pool.acquire({ signal: controller.signal });
    controller.abort(cause);
    await assert.rejects(late, (error) => error === cause);
  }
  assert.equal(test.pool.stats().acquireTimeoutCount, 1);
});

Deno.test("the pool's errors carry its numbers at that moment", async () => {
  const test = testPool({ max: 1, acquireQueueLimit: 1 });
  await acquireOne(test);
  const late = test.pool.acquire();
  const numbers = { stats: { ...test.pool.stats(), rejectedCount: 1 } };
  await assert.rejects(test.pool.acquire(), { code: "QUEUE_FULL", ...numbers });
  test.clock.advance(ACQUIRE_TIMEOUT_MS);
  const message = "No resource within 1000 ms: 1 of 1 in use, 0 connecting, 1 waiting";
  await assert.rejects(late, { code: "ACQUIRE_TIMEOUT", message, ...numbers });
});

Deno.test("no more than maxConnecting are opened at the same time", async () => {
  const test = testPool({ max: 3, maxConnecting: 2 });
  const waits = [1, 2, 3].map(() => test.pool.acquire());
  assert.equal(test.factory.pending, 2);
  const first = test.factory.succeed();
  assert.equal(await waits[0], first);
  assert.equal(test.factory.pending, 2);
  const opened = [test.factory.succeed(), test.factory.succeed()];
  assert.deepEqual(await Promise.all(waits.slice(1)), opened);
});

Deno.test("a failed open fails no caller while another one is in progress", async () => {
  const test = testPool();
  const controller = new AbortController();
  const left = test.pool.acquire({ signal: controller.signal });
  const stays = test.pool.acquire();
  controller.abort();
  await assert.rejects(left, { name: "AbortError" });
  test.factory.fail(new Error("refused"));
  await settle();
  assert.equal(test.pool.stats().openFailedCount, 1);
  assert.equal(test.factory.succeed(), await stays);
});

Deno.test("waits share a timer, and each ends at its own time", async () => {
  const test = testPool({ max: 1 });
  await acquireOne(test);
  const ended: string[] = [];
  const wait = (name: string, timeoutMs?: number) => {
    void test.pool.acquire({ timeoutMs }).catch(() => ended.push(name));
  };
  wait("first");
  test.clock.advance(100);
  wait("second");
  wait("third");
  assert.equal(test.clock.pending, 1);
  wait("impatient", 10);
  for (const [ms, expected] of [[10, 1], [ACQUIRE_TIMEOUT_MS - 111, 1], [1, 2], [99, 2], [1, 4]]) {
    test.clock.advance(ms!);
    await settle();
    assert.equal(ended.length, expected);
  }
  assert.deepEqual(ended, ["impatient", "first", "second", "third"]);
  assert.equal(test.clock.pending, 0);
});

Deno.test("waiters can be rejected together, and the pool keeps working", async () => {
  const test = testPool({ max: 1 });
  const held = await acquireOne(test);
  const waits = [test.pool.acquire(), test.pool.acquire({ timeoutMs: 5 })];
  const reason = new Error("connection refused");
  test.pool.rejectWaiters(() => reason);
  for (const wait of waits) await assert.rejects(wait, reason);
  assert.equal(test.clock.pending, 0);

  const next = test.pool.acquire();
  test.pool.release(held);
  assert.equal(await next, held);
});

/**
 * Counts what the pool asks of its clock while many wait, and are served in order. What the queue
 * itself does for each of them cannot be counted: `bench/pool_alone.ts` takes the time of it.
 */
async function workFor(waiters: number): Promise<{ calls: number; peak: number }> {
  let calls = 0;
  const test: TestPool = testPool({ max: 4, acquireQueueLimit: waiters });
  for (const name of ["now", "setTimeout", "clearTimeout"] as const) {
    const original = test.clock[name].bind(test.clock) as (...args: unknown[]) => unknown;
    Object.defineProperty(test.clock, name, {
      value: (...args: unknown[]) => (calls++, original(...args)),
    });
  }
  const held = await Promise.all(Array.from({ length: 4 }, () => acquireOne(test)));
  const controllers = Array.from({ length: waiters }, () => new AbortController());
  const order: number[] = [];
  const waits = controllers.map(({ signal }, index) =>
    test.pool.acquire({ signal }).then(
      (resource) => {
        order.push(index);
        test.pool.release(resource);
      },
      ({ name }: Error) => assert.equal(name, "AbortError"),
    )
  );
  // Every tenth gives up, from the end: leaving the middle of the queue keeps the others in order.
  const leaving = [...controllers.keys()].filter((index) => index % 10 === 0).toReversed();
  for (const index of leaving) controllers[index]!.abort();
  const peak = test.pool.stats().waiting;
  for (const resource of held) test.pool.release(resource);
  await Promise.all(waits);

  assert.equal(order.length, waiters * 0.9);
  assert.deepEqual(order, order.toSorted((a, b) => a - b), "out of order");
  assert.equal(test.factory.opened.length, 4);
  assert.ok(test.clock.pending <= 2, "a timer for each");
  return { calls, peak };
}

Deno.test("ten times as many waiters use the clock ten times as often", async () => {
  const few = await workFor(1_000);
  const many = await workFor(10_000);
  assert.equal(many.peak, 9_000);
  assert.ok(many.calls <= few.calls * 10, `${few.calls} calls became ${many.calls}`);
});
