import assert from "node:assert/strict";
import { settle } from "../fake_clock.ts";
import { acquireOne, testPool } from "./fake_resource.ts";

const RETRY_MS = 100;
const REFUSED = new Error("connection refused");
const REJECTED = new Error("login rejected");
const OPTIONS = {
  minIdle: 2,
  retryDelayMs: (error: unknown, failures: number) =>
    error === REJECTED ? 5_500 : Math.min(400, RETRY_MS * 2 ** (failures - 1)),
};

Deno.test("nothing is opened before the first use or warmUp", async () => {
  const test = testPool(OPTIONS);
  assert.equal(test.factory.pending, 0);
  test.pool.warmUp();
  assert.equal(test.factory.pending, 2);
  test.factory.succeed();
  test.factory.succeed();
  await settle();
  assert.equal(test.pool.stats().idle, 2);
  assert.equal(test.factory.pending, 0);
});

Deno.test("what is taken is replaced in the background, as far as there is room", async () => {
  const test = testPool(OPTIONS);
  await acquireOne(test);
  assert.equal(test.factory.pending, 2);
  test.factory.succeed();
  test.factory.succeed();
  await settle();
  assert.equal(test.pool.stats().idle, 2);
  test.pool.tryAcquire();
  assert.equal(test.factory.pending, 0, "the pool is full");
});

Deno.test("what ends by age is replaced", async () => {
  const test = testPool({ ...OPTIONS, minIdle: 1, maxIdleTimeMs: 1000 });
  const old = await acquireOne(test);
  test.pool.release(old);
  test.factory.succeed();
  await settle();
  test.clock.advance(1000);
  assert.equal(old.ending, "close");
  old.finishClose();
  await settle();
  assert.equal(test.factory.pending, 1);
});

Deno.test("an emptied pool opens nothing but for a caller, until warmUp", async () => {
  const test = testPool(OPTIONS);
  const used = await acquireOne(test);
  const idle = test.factory.succeed();
  await settle();
  test.pool.empty();
  // This one was under way, so it is neither kept nor replaced.
  const late = test.factory.succeed();
  await settle();
  test.pool.release(used);
  await settle();
  for (const { ending } of [used, idle, late]) assert.equal(ending, "destroy");
  assert.equal(test.pool.stats().idle, 0);
  assert.equal(test.factory.pending, 0);

  test.pool.release(await acquireOne(test));
  assert.equal(test.factory.pending, 0, "a recovery's look is no end of it");
  test.pool.warmUp();
  assert.equal(test.factory.pending, 1);
});

Deno.test("openings in the background are bounded, and callers come first", async () => {
  const test = testPool({ ...OPTIONS, maxConnecting: 1 });
  test.pool.warmUp();
  assert.equal(test.factory.pending, 1);
  const acquired = test.pool.acquire();
  assert.equal(test.factory.pending, 1);
  assert.equal(test.factory.succeed(), await acquired);
  await settle();
  assert.equal(test.factory.pending, 1);
});

Deno.test("after a failure it waits, longer each time, and a success ends that", async () => {
  const test = testPool(OPTIONS);
  test.pool.warmUp();
  for (const delayMs of [100, 200, 400, 400]) {
    test.factory.fail(REFUSED);
    test.factory.fail(REFUSED);
    await settle();
    test.clock.advance(delayMs - 1);
    assert.equal(test.factory.pending, 0, `within ${delayMs} ms`);
    test.clock.advance(1);
    assert.equal(test.factory.pending, 2, `after ${delayMs} ms`);
  }
  assert.equal(test.pool.stats().openFailedCount, 8);
  test.factory.succeed();
  test.factory.fail(REFUSED);
  await settle();
  test.clock.advance(RETRY_MS);
  assert.equal(test.factory.pending, 1);
});

Deno.test("the options say how long after which error it waits", async () => {
  const test = testPool({ ...OPTIONS, minIdle: 1 });
  test.pool.warmUp();
  test.factory.fail(REJECTED);
  await settle();
  test.clock.advance(5499);
  assert.equal(test.factory.pending, 0);
  test.clock.advance(1);
  assert.equal(test.factory.pending, 1);
});

Deno.test("warmUp does not wait for the end of the pause", async () => {
  const test = testPool(OPTIONS);
  test.pool.warmUp();
  test.factory.fail(REFUSED);
  test.factory.fail(REFUSED);
  await settle();
  test.pool.warmUp();
  assert.equal(test.factory.pending, 2);
  assert.equal(test.clock.pending, 0);
});

Deno.test("a failure in the background reaches only who waits for that opening", async () => {
  const test = testPool({ ...OPTIONS, max: 2, maxConnecting: 1 });
  test.pool.warmUp();
  const acquired = test.pool.acquire();
  test.factory.fail(REFUSED);
  await assert.rejects(acquired, REFUSED);
});

Deno.test("a server that ends every session is not asked again at once", async () => {
  const test = testPool({ ...OPTIONS, minIdle: 1 });
  test.pool.warmUp();
  for (const lives of [true, false, true, false]) {
    const resource = test.factory.succeed();
    if (lives) await settle();
    resource.die();
    await settle();
    assert.equal(test.factory.pending, 0);
    test.clock.advance(400);
    assert.equal(test.factory.pending, 1);
  }
});

Deno.test("a pool that closes in a pause leaves no timer and opens nothing", async () => {
  const test = testPool(OPTIONS);
  test.pool.warmUp();
  test.factory.fail(REFUSED);
  await settle();
  await test.pool.close();
  assert.equal(test.clock.pending, 0);
  test.pool.warmUp();
  assert.equal(test.factory.pending, 0);
});

Deno.test("without minIdle a failed opening leaves no timer", async () => {
  const test = testPool();
  const acquired = test.pool.acquire({ timeoutMs: Infinity });
  test.factory.fail(REFUSED);
  await assert.rejects(acquired, REFUSED);
  assert.equal(test.clock.pending, 0);
});

Deno.test("by default it waits for a random part of 200 ms, doubled up to ten seconds", async () => {
  const test = testPool({ minIdle: 1, random: () => 0.5 });
  test.pool.warmUp();
  for (const delayMs of [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]) {
    test.factory.fail(REFUSED);
    await settle();
    test.clock.advance(delayMs - 1);
    assert.equal(test.factory.pending, 0, `within ${delayMs} ms`);
    test.clock.advance(1);
    assert.equal(test.factory.pending, 1, `after ${delayMs} ms`);
  }
});
