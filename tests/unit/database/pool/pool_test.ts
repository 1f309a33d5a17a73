import assert from "node:assert/strict";
import { Pool } from "../../../../src/database/pool/mod.ts";
import { settle } from "../fake_clock.ts";
import { ACQUIRE_TIMEOUT_MS, acquireOne, FakeResource, testPool } from "./fake_resource.ts";

Deno.test("a resource is opened on demand and used again", async () => {
  const test = testPool();
  const { pool, factory } = test;
  assert.equal(pool.tryAcquire(), undefined);
  assert.equal(factory.pending, 0);

  const first = await acquireOne(test);
  pool.release(first);

  assert.equal(await pool.acquire(), first);
  assert.equal(pool.stats().openedCount, 1);
});

Deno.test("with nothing but a way to open, it opens ten at most and keeps what is released", async () => {
  const opened: FakeResource[] = [];
  {
    await using pool = new Pool({
      open: () => {
        const resource = new FakeResource(opened.length + 1);
        opened.push(resource);
        return Promise.resolve(resource);
      },
    });
    const all = await Promise.all(Array.from({ length: 10 }, () => pool.acquire()));
    const next = pool.acquire();
    assert.equal(pool.stats().waiting, 1);
    for (const resource of all) pool.release(resource);
    pool.release(await next);
    const { max, idle, waiting } = pool.stats();
    assert.deepEqual({ max, idle, waiting }, { max: 10, idle: 10, waiting: 0 });
    setTimeout(() => opened.forEach((resource) => resource.finishClose()));
  }
  assert.deepEqual(new Set(opened.map(({ ending }) => ending)), new Set(["close"]));
});

Deno.test("an invalid limit is rejected by its name", () => {
  assert.throws(() => testPool({ max: 0 }), { name: "RangeError", message: /max must .* is 0/ });
  assert.throws(() => testPool({ maxConnecting: NaN }), /maxConnecting must be at least 1/);
});

Deno.test("an opening that throws at once has failed like any other", async () => {
  const failure = new Error("no way");
  await using pool = new Pool<FakeResource>({
    open: () => {
      throw failure;
    },
  });
  await assert.rejects(pool.acquire(), (error) => error === failure);
  assert.equal(pool.stats().connecting, 0);
});

Deno.test("the most recently released resource is handed out first", async () => {
  const test = testPool();
  const [first, second] = [await acquireOne(test), await acquireOne(test)];
  test.pool.release(second);
  test.pool.release(first);

  assert.equal(test.pool.tryAcquire(), first);
  assert.equal(test.pool.tryAcquire(), second);
});

Deno.test("a full pool makes callers wait, and serves them in order", async () => {
  const test = testPool({ max: 1 });
  const held = await acquireOne(test);
  const served: string[] = [];
  const waits = ["a", "b", "c"].map((name) =>
    test.pool.acquire().then((resource) => {
      served.push(name);
      test.pool.release(resource);
    })
  );
  assert.equal(test.factory.pending, 0);
  assert.equal(test.pool.stats().waiting, 3);

  test.clock.advance(10);
  test.pool.release(held);
  await Promise.all(waits);

  assert.deepEqual(served, ["a", "b", "c"]);
  const { waitCount, waitDurationMs, openedCount, acquireCount } = test.pool.stats();
  assert.deepEqual(
    { waitCount, waitDurationMs, openedCount, acquireCount },
    { waitCount: 3, waitDurationMs: 30, openedCount: 1, acquireCount: 4 },
  );
});

Deno.test("waiting for a connection that is being opened is not waiting for a full pool", async () => {
  const test = testPool();
  await acquireOne(test);
  assert.equal(test.pool.stats().waitCount, 0);
});

Deno.test("an acquire that takes too long fails, and its opening serves the next one", async () => {
  const test = testPool();
  const late = test.pool.acquire();
  test.clock.advance(ACQUIRE_TIMEOUT_MS - 1);
  const next = test.pool.acquire();
  test.clock.advance(1);
  await assert.rejects(late, { name: "PoolError", code: "ACQUIRE_TIMEOUT" });
  assert.equal(test.pool.stats().acquireTimeoutCount, 1);

  const resource = test.factory.succeed();
  assert.equal(await next, resource);
});

Deno.test("a resource whose caller has given up is kept as idle", async () => {
  const test = testPool();
  const controller = new AbortController();
  const acquired = test.pool.acquire({ signal: controller.signal });
  const reason = new Error("the caller has left");
  controller.abort(reason);
  await assert.rejects(acquired, (error) => error === reason);

  const resource = test.factory.succeed();
  await settle();
  assert.equal(test.pool.tryAcquire(), resource);
});

Deno.test("an aborted signal fails an acquire even if something is idle", async () => {
  const test = testPool();
  test.pool.release(await acquireOne(test));
  await assert.rejects(test.pool.acquire({ signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(test.pool.stats().idle, 1);
});

Deno.test("a failed opening rejects one waiter and lets the others try", async () => {
  const test = testPool({ max: 1 });
  const [first, second] = [test.pool.acquire(), test.pool.acquire()];
  assert.equal(test.factory.pending, 1);
  const refused = new Error("connection refused");
  test.factory.fail(refused);
  await assert.rejects(first, refused);

  await settle();
  assert.equal(test.factory.pending, 1);
  const resource = test.factory.succeed();
  assert.equal(await second, resource);
});

Deno.test("what broke is never handed out again", async () => {
  const test = testPool();
  const [broken, died] = [await acquireOne(test), await acquireOne(test)];
  died.die();
  test.pool.release(broken, { broken: true });
  test.pool.release(died);

  assert.equal(test.pool.tryAcquire(), undefined);
  assert.equal(broken.ending, "destroy");
  assert.equal(test.pool.stats().closedCount.error, 2);
});

Deno.test("a resource that dies while idle is dropped at once, and reported", async () => {
  let reports = 0;
  const test = testPool({ onIdleClosed: () => reports++ });
  const resource = await acquireOne(test);
  test.pool.release(resource);
  resource.die();
  await settle();

  assert.equal(reports, 1);
  assert.equal(test.pool.stats().open, 0);
  assert.equal(test.pool.stats().closedCount.error, 1);
});

Deno.test("no more than maxIdle resources are kept", async () => {
  const test = testPool({ maxIdle: 1 });
  const [first, second] = [await acquireOne(test), await acquireOne(test)];
  test.pool.release(first);
  test.pool.release(second);
  assert.equal(test.pool.stats().idle, 1);
  assert.equal(test.pool.stats().closedCount.maxIdle, 1);
  assert.equal(second.ending, "close");
});

Deno.test("a resource that is being closed keeps its place until it has closed", async () => {
  const test = testPool({ max: 1, maxIdle: 0 });
  const leaving = await acquireOne(test);
  test.pool.release(leaving);
  const next = test.pool.acquire();
  assert.equal(test.pool.stats().closing, 1);
  assert.equal(test.factory.pending, 0);

  leaving.finishClose();
  await settle();
  assert.equal(test.factory.pending, 1);
  assert.equal(test.factory.succeed(), await next);
});

Deno.test("a resource is released once", async () => {
  const test = testPool();
  const resource = await acquireOne(test);
  test.pool.release(resource);
  assert.throws(() => test.pool.release(resource), /not in use/);
  assert.equal(test.pool.stats().idle, 1);
});

Deno.test("a snapshot is frozen and does not change", async () => {
  const test = testPool();
  const before = test.pool.stats();
  await acquireOne(test);
  assert.equal(before.inUse, 0);
  assert.ok(Object.isFrozen(before) && Object.isFrozen(before.closedCount));
});

Deno.test("ten thousand waiters can give up in any order, and leave no timer", async () => {
  const test = testPool({ max: 1 });
  const held = await acquireOne(test);
  const controllers = Array.from({ length: 10_000 }, () => new AbortController());
  const waits = controllers.map(({ signal }) => test.pool.acquire({ signal }).catch(() => {}));
  for (const controller of controllers.toReversed()) controller.abort();
  await Promise.all(waits);

  assert.equal(test.pool.stats().waiting, 0);
  test.pool.release(held);
  held.finishClose();
  await test.pool.close();
  assert.equal(test.clock.pending, 0);
});
