import assert from "node:assert/strict";
import { settle } from "../fake_clock.ts";
import { acquireOne, testPool } from "./fake_resource.ts";

/** Whether the promise has settled, without waiting for it. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol();
  await settle();
  return await Promise.race([promise, Promise.resolve(pending)]) !== pending;
}

Deno.test("close rejects waiters, closes what is idle and waits for what is in use", async () => {
  const test = testPool({ max: 2 });
  const [idle, busy] = [await acquireOne(test), await acquireOne(test)];
  const waiter = test.pool.acquire();
  const closed = test.pool.close();
  await assert.rejects(waiter, { code: "POOL_CLOSED" });

  test.pool.release(idle);
  idle.finishClose();
  assert.equal(await isSettled(closed), false);
  test.pool.release(busy);
  assert.equal(await isSettled(closed), false);
  busy.finishClose();
  await closed;

  assert.deepEqual([idle.ending, busy.ending], ["close", "close"]);
  assert.equal(test.pool.stats().closedCount.shutdown, 2);
  assert.equal(test.pool.stats().open, 0);
  assert.equal(test.clock.pending, 0);
});

Deno.test("a closed pool hands nothing out", async () => {
  const test = testPool();
  const idle = await acquireOne(test);
  test.pool.release(idle);
  const closed = test.pool.close();
  assert.equal(test.pool.tryAcquire(), undefined);
  await assert.rejects(test.pool.acquire(), { code: "POOL_CLOSED" });
  idle.finishClose();
  await closed;
});

Deno.test("when its time is over, close destroys what is still in use", async () => {
  const test = testPool();
  const busy = await acquireOne(test);
  const closed = test.pool.close({ timeoutMs: 100 });
  test.clock.advance(99);
  assert.equal(busy.ending, undefined);
  test.clock.advance(1);
  await closed;

  assert.equal(busy.ending, "destroy");
  test.pool.release(busy);
  assert.equal(test.pool.stats().inUse, 0);
});

Deno.test("a close without patience destroys what is still saying goodbye", async () => {
  const test = testPool();
  const idle = await acquireOne(test);
  test.pool.release(idle);
  await test.pool.close({ timeoutMs: 0, signal: AbortSignal.abort() });
  assert.equal(idle.ending, "close");
  assert.equal(idle.closed, true);
  await settle();
  assert.equal(test.pool.stats().closing, 0);
});

Deno.test("a second close can be less patient than the first", async () => {
  const test = testPool();
  const busy = await acquireOne(test);
  const patient = test.pool.close();
  await test.pool.close({ signal: AbortSignal.abort() });
  await patient;
  assert.equal(busy.ending, "destroy");
});

Deno.test("close ends openings that are under way", async () => {
  const test = testPool();
  const acquired = test.pool.acquire();
  const closed = test.pool.close();
  await assert.rejects(acquired, { code: "POOL_CLOSED" });
  await closed;
  assert.equal(test.factory.pending, 0);
});

Deno.test("what is opened after all is closed again", async () => {
  const test = testPool({ open: () => opening.promise });
  const opening = Promise.withResolvers<Awaited<ReturnType<typeof acquireOne>>>();
  void test.pool.acquire().catch(() => {});
  const closed = test.pool.close();
  const late = test.factory.succeed();
  opening.resolve(late);
  await settle();
  assert.equal(late.ending, "close");
  late.finishClose();
  await closed;
});
