import assert from "node:assert/strict";
import { settle } from "../fake_clock.ts";
import { acquireOne, type TestPool, testPool } from "./fake_resource.ts";

const FULL = new Error("too many connections");
const PAUSE_MS = 100;

/** A pool whose other side is full when an opening fails with {@linkcode FULL}. */
function fullPool(): TestPool & { readonly refusals: unknown[] } {
  const refusals: unknown[] = [];
  const test = testPool({
    isRefusal: (error) => error === FULL,
    onOpenRefused: (error) => void refusals.push(error),
    retryDelayMs: () => PAUSE_MS,
  });
  return { ...test, refusals };
}

Deno.test("a refused open fails no caller while a resource is in use: the callers share it", async () => {
  const test = fullPool();
  const held = await acquireOne(test);
  const waits = [test.pool.acquire(), test.pool.acquire()];
  test.factory.fail(FULL);
  test.factory.fail(FULL);
  await settle();
  assert.deepEqual(test.refusals, [FULL, FULL]);
  assert.equal(test.factory.pending, 0, "nothing is opened in the pause");

  test.pool.release(held);
  for (const wait of waits) test.pool.release(await wait);
  assert.equal(test.pool.stats().openedCount, 1);
});

Deno.test("after the pause an opening is tried again, and its success ends the refusal", async () => {
  const test = fullPool();
  await acquireOne(test);
  const wait = test.pool.acquire();
  test.factory.fail(FULL);
  await settle();
  test.clock.advance(PAUSE_MS);
  assert.equal(test.factory.pending, 1);
  const opened = test.factory.succeed();
  assert.equal(await wait, opened);
  void test.pool.acquire();
  assert.equal(test.factory.pending, 1);
});

Deno.test("when nothing is in use, a caller learns of the refusal, and the next one tries", async () => {
  const test = fullPool();
  const wait = test.pool.acquire();
  test.factory.fail(FULL);
  await assert.rejects(wait, (error) => error === FULL);
  assert.deepEqual(test.refusals, []);
  void test.pool.acquire();
  assert.equal(test.factory.pending, 1);
});

Deno.test("another failure reaches its caller also while something is in use", async () => {
  const test = fullPool();
  await acquireOne(test);
  const wait = test.pool.acquire();
  const refused = new Error("connection refused");
  test.factory.fail(refused);
  await assert.rejects(wait, (error) => error === refused);
});

Deno.test("warmUp, empty and close end the pause", async () => {
  for (const end of ["warmUp", "empty", "close"] as const) {
    const test = fullPool();
    await acquireOne(test);
    const wait = test.pool.acquire({ timeoutMs: Infinity });
    test.factory.fail(FULL);
    await settle();
    assert.equal(test.clock.pending, 1);
    const closed = end === "close"
      ? test.pool.close({ signal: AbortSignal.abort() })
      : test.pool[end]();
    if (end === "close") await assert.rejects(wait, { code: "POOL_CLOSED" });
    await closed;
    assert.equal(test.clock.pending, 0, end);
  }
});
