import assert from "node:assert/strict";
import { settle } from "../fake_clock.ts";
import { acquireOne, type FakeResource, type TestPool, testPool } from "./fake_resource.ts";

interface CheckedPool extends TestPool {
  /** Checks that are under way, in order. */
  readonly checks: (PromiseWithResolvers<void> & { readonly resource: FakeResource })[];
  readonly idleDeaths: () => number;
}

function checkedPool(overrides: Parameters<typeof testPool>[0] = {}): CheckedPool {
  const checks: CheckedPool["checks"] = [];
  let deaths = 0;
  const test = testPool({
    check: (resource) => {
      const check = { ...Promise.withResolvers<void>(), resource };
      checks.push(check);
      return check.promise;
    },
    idleCheckAfterMs: 100,
    checkTimeoutMs: 50,
    onIdleClosed: () => deaths++,
    ...overrides,
  });
  return { ...test, checks, idleDeaths: () => deaths };
}

/** Two resources that have been idle for so long that they must be checked. */
async function twoStale(test: CheckedPool): Promise<[FakeResource, FakeResource]> {
  const both: [FakeResource, FakeResource] = [await acquireOne(test), await acquireOne(test)];
  for (const resource of both) test.pool.release(resource);
  test.clock.advance(100);
  return both;
}

Deno.test("what was used recently is lent without a check, at once", async () => {
  const test = checkedPool();
  const resource = await acquireOne(test);
  test.pool.release(resource);
  test.clock.advance(99);
  assert.equal(test.pool.tryAcquire(), resource);
  assert.equal(test.checks.length, 0);
});

Deno.test("what was idle for a while is lent only after a check", async () => {
  const test = checkedPool();
  const [, recent] = await twoStale(test);
  assert.equal(test.pool.tryAcquire(), undefined);
  const acquired = test.pool.acquire();
  assert.equal(test.checks[0]?.resource, recent);
  assert.equal(test.factory.pending, 0);
  const { inUse, idle, open, waitCount } = test.pool.stats();
  assert.deepEqual({ inUse, idle, open, waitCount }, { inUse: 1, idle: 1, open: 2, waitCount: 0 });

  test.checks[0]?.resolve();
  assert.equal(await acquired, recent);
  test.pool.release(recent);
  assert.equal(test.pool.tryAcquire(), recent, "a use makes it fresh again");
});

Deno.test("a failed check drops it and takes the next, then opens; the caller sees none of it", async () => {
  const test = checkedPool();
  const [second, first] = await twoStale(test);
  const acquired = test.pool.acquire();
  test.checks[0]?.reject(new Error("dead"));
  await settle();
  assert.equal(first.ending, "destroy");
  assert.equal(test.checks[1]?.resource, second);
  test.checks[1]?.reject(new Error("dead as well"));
  await settle();
  assert.equal(test.factory.pending, 1);
  assert.equal(test.factory.succeed(), await acquired);
  assert.equal(test.pool.stats().closedCount.error, 2);
  assert.equal(test.idleDeaths(), 2);
});

Deno.test("a check that hangs has failed after its time", async () => {
  const test = checkedPool();
  const [, first] = await twoStale(test);
  const acquired = test.pool.acquire();
  test.clock.advance(50);
  await settle();
  assert.equal(first.ending, "destroy");
  test.checks[1]?.resolve();
  assert.notEqual(await acquired, first);
});

Deno.test("the resource of a check is kept when its waiter has given up", async () => {
  const test = checkedPool({ max: 2 });
  const [, checked] = await twoStale(test);
  const controller = new AbortController();
  const acquired = test.pool.acquire({ signal: controller.signal });
  controller.abort();
  await assert.rejects(acquired, { name: "AbortError" });
  test.checks[0]?.resolve();
  await settle();
  assert.equal(test.pool.tryAcquire(), checked);
});

Deno.test("what is idle is checked for a caller also beside an opening that hangs or fails", async () => {
  const test = checkedPool();
  await twoStale(test);
  const controller = new AbortController();
  const all = [1, 2, 3].map(() => test.pool.acquire({ signal: controller.signal }));
  controller.abort();
  for (const one of all) await assert.rejects(one, { name: "AbortError" });
  for (const check of test.checks.splice(0)) check.resolve();
  await settle();
  test.clock.advance(100);
  assert.equal(test.factory.pending, 1, "an opening that nobody waits for");

  const acquired = test.pool.acquire();
  assert.equal(test.checks.length, 1);
  test.factory.fail(new Error("refused"));
  test.checks[0]?.resolve();
  assert.equal(await acquired, test.checks[0]?.resource);
});

Deno.test("a reset drops what is being checked, and its caller gets a new one", async () => {
  const test = checkedPool();
  const [idle, checked] = await twoStale(test);
  const acquired = test.pool.acquire();
  test.pool.reset();
  assert.deepEqual([idle.ending, checked.ending], ["destroy", "destroy"]);
  test.checks[0]?.resolve();
  await settle();
  assert.equal(test.factory.succeed(), await acquired);
  const { closedCount } = test.pool.stats();
  assert.deepEqual([closedCount.reset, closedCount.error], [2, 0]);
});

Deno.test("close ends a check, and waits for its resource", async () => {
  const test = checkedPool();
  const stale = await twoStale(test);
  const acquired = test.pool.acquire();
  const closed = test.pool.close();
  await assert.rejects(acquired, { code: "POOL_CLOSED" });
  await settle();
  assert.equal(test.pool.stats().closing, 2);
  for (const resource of stale) resource.finishClose();
  await closed;
  assert.equal(test.pool.stats().closedCount.shutdown, 2);
  assert.equal(test.clock.pending, 0);
});

Deno.test("with no idle time at all, every use is checked", async () => {
  const test = checkedPool({ idleCheckAfterMs: 0 });
  const resource = await acquireOne(test);
  test.pool.release(resource);
  assert.equal(test.pool.tryAcquire(), undefined);
  const acquired = test.pool.acquire();
  test.checks[0]?.resolve();
  assert.equal(await acquired, resource);
});

Deno.test("a close without patience counts what is being checked once", async () => {
  const test = checkedPool();
  const stale = await twoStale(test);
  test.pool.acquire().catch(() => {});
  await test.pool.close({ signal: AbortSignal.abort() });
  await settle();
  for (const resource of stale) resource.finishClose();
  const { closedCount, inUse } = test.pool.stats();
  assert.deepEqual([closedCount.shutdown, closedCount.error, inUse], [2, 0, 0]);
  assert.equal(test.idleDeaths(), 0);
});
