import assert from "node:assert/strict";
import { settle } from "../fake_clock.ts";
import { acquireOne, testPool } from "./fake_resource.ts";

Deno.test("a resource that was idle for too long is closed without traffic", async () => {
  const test = testPool({ maxIdleTimeMs: 100 });
  const [first, second] = [await acquireOne(test), await acquireOne(test)];
  test.pool.release(first);
  test.clock.advance(60);
  test.pool.release(second);

  test.clock.advance(40);
  assert.equal(first.ending, "close");
  assert.equal(second.ending, undefined);
  test.clock.advance(60);
  assert.equal(second.ending, "close");
  assert.equal(test.pool.stats().closedCount.idleTime, 2);
});

Deno.test("a resource that is too old is closed when released, and while idle", async () => {
  const test = testPool({ maxLifetimeMs: 100 });
  const [busy, idle] = [await acquireOne(test), await acquireOne(test)];
  test.pool.release(idle);
  test.clock.advance(100);
  assert.equal(idle.ending, "close");
  assert.equal(busy.ending, undefined);

  test.pool.release(busy);
  assert.equal(busy.ending, "close");
  assert.equal(test.pool.stats().closedCount.lifetime, 2);
});

Deno.test("lifetimes are shortened by up to a tenth", async () => {
  const test = testPool({ maxLifetimeMs: 100, random: () => 0.5 });
  const resource = await acquireOne(test);
  test.pool.release(resource);
  test.clock.advance(94);
  assert.equal(resource.ending, undefined);
  test.clock.advance(1);
  assert.equal(resource.ending, "close");
});

Deno.test("one timer runs while something is idle, and none later", async () => {
  const test = testPool({ maxIdleTimeMs: 100, maxLifetimeMs: 1000 });
  const [first, second] = [await acquireOne(test), await acquireOne(test)];
  assert.equal(test.clock.pending, 0);
  for (let use = 0; use < 10; use++) {
    test.pool.release(first);
    test.pool.release(second);
    assert.equal(test.clock.pending, 1);
    test.clock.advance(1);
    assert.deepEqual([test.pool.tryAcquire(), test.pool.tryAcquire()], [second, first]);
  }
  test.clock.advance(100);
  assert.equal(test.clock.pending, 0);
});

Deno.test("an expired resource is not handed out, even before the timer has found it", async () => {
  const test = testPool({ maxIdleTimeMs: 100 });
  const old = await acquireOne(test);
  test.pool.release(old);
  const late = test.clock.now() + 100;
  test.clock.now = () => late;
  assert.equal(test.pool.tryAcquire(), undefined);
  assert.equal(old.ending, "close");
});

Deno.test("reset drops what is idle at once, and what is in use on release", async () => {
  const test = testPool();
  const [idle, busy] = [await acquireOne(test), await acquireOne(test)];
  test.pool.release(idle);
  test.pool.reset();
  assert.equal(idle.ending, "destroy");
  assert.equal(busy.ending, undefined);
  assert.equal(test.pool.stats().inUse, 1);

  test.pool.release(busy);
  assert.equal(busy.ending, "destroy");
  assert.equal(test.pool.stats().closedCount.reset, 2);
});

Deno.test("an opening that began before a reset is dropped, and its waiter gets a new one", async () => {
  const test = testPool();
  const acquired = test.pool.acquire();
  test.pool.reset();
  const stale = test.factory.succeed();
  await settle();
  assert.equal(stale.ending, "destroy");

  const fresh = test.factory.succeed();
  assert.equal(await acquired, fresh);
});
