import assert from "node:assert/strict";
import type { Leak } from "../../../../src/database/pool/mod.ts";
import { acquireOne, type TestPool, testPool } from "./fake_resource.ts";

type WatchedPool = TestPool & { readonly leaks: Leak[] };

function watchedPool(overrides: Parameters<typeof testPool>[0] = {}): WatchedPool {
  const leaks: Leak[] = [];
  const test = testPool({
    leakWarningAfterMs: 100,
    onLeak: (leak) => void leaks.push(leak),
    ...overrides,
  });
  return { ...test, leaks };
}

async function forgetfulCaller(test: TestPool) {
  return await acquireOne(test);
}

Deno.test("a use that is too long is told once, with the place that began it", async () => {
  const test = watchedPool();
  const resource = await forgetfulCaller(test);
  test.clock.advance(99);
  assert.equal(test.leaks.length, 0);
  test.clock.advance(1);
  assert.equal(test.leaks[0]?.heldMs, 100);
  assert.match(test.leaks[0]!.stack, /^ +at .*fake_resource.*\n +at .*forgetfulCaller/);

  test.clock.advance(1000);
  test.pool.release(resource);
  test.pool.tryAcquire();
  assert.equal(test.leaks.length, 1);
  assert.equal(test.clock.pending, 1);
});

Deno.test("what is released in time is no leak, and the next use counts anew", async () => {
  const test = watchedPool();
  const resource = await acquireOne(test);
  test.clock.advance(60);
  test.pool.release(resource);
  assert.equal(test.pool.tryAcquire(), resource);
  test.clock.advance(60);
  assert.equal(test.leaks.length, 0);
  test.clock.advance(40);
  assert.equal(test.leaks.length, 1);
});

Deno.test("the wait in the queue is not use, but its stack is the acquirer's", async () => {
  const test = watchedPool({ max: 1 });
  const held = await acquireOne(test);
  const waiting = forgetfulCaller(test);
  test.clock.advance(90);
  test.pool.release(held);
  await waiting;
  test.clock.advance(99);
  assert.equal(test.leaks.length, 0);
  test.clock.advance(1);
  assert.equal(test.leaks[0]?.heldMs, 100);
  assert.match(test.leaks[0]!.stack, /forgetfulCaller/);
});

Deno.test("one timer serves all loans, and each is told at its own time", async () => {
  const test = watchedPool();
  for (let loan = 0; loan < 3; loan++) {
    await acquireOne(test);
    assert.equal(test.clock.pending, 1);
    test.clock.advance(30);
  }
  test.clock.advance(10);
  assert.equal(test.leaks.length, 1);
  test.clock.advance(60);
  assert.deepEqual(test.leaks.map(({ heldMs }) => heldMs), [100, 100, 100]);
  assert.equal(test.clock.pending, 0);
});

Deno.test("it is off by default, and a closed pool leaves no timer", async () => {
  const off = watchedPool({ leakWarningAfterMs: undefined });
  await acquireOne(off);
  assert.equal(off.clock.pending, 0);

  const test = watchedPool();
  await acquireOne(test);
  await test.pool.close({ timeoutMs: 0, signal: AbortSignal.abort() });
  assert.equal(test.clock.pending, 0);
  assert.equal(test.leaks.length, 0);
});
