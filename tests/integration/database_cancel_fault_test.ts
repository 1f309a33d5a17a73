import assert from "node:assert/strict";
import { runOperation } from "../../src/database/operation/operation.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";
import { poolLender, type TestLender } from "../support/database_lender.ts";
import { terminateSessions, untilRunning, watchUnhandled } from "../support/database_support.ts";

/** Runs a statement that ends only by the abort, and returns what the operation failed with. */
async function abortSleep(
  lender: TestLender,
  beforeAbort: () => Promise<void>,
): Promise<{ code: string }> {
  const abort = new AbortController();
  const failed = runOperation(lender, (sql) => sql`select pg_sleep(600)`, { signal: abort.signal })
    .then(() => assert.fail("it did not fail"), (error) => error);
  await beforeAbort();
  abort.abort();
  return await failed;
}

Deno.test("an abort ends in time when the server is frozen", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  await using lender = poolLender(server.config());
  const { code } = await abortSleep(lender, async () => {
    await untilRunning(server, "pg_sleep");
    await server.freeze();
  });
  assert.equal(code, "COMMIT_UNKNOWN");
  assert.equal(lender.pool.stats().closedCount.error, 1);
  await server.resume();
  assert.deepEqual(unhandled.reasons, []);
});

const networks: Record<string, (proxy: FaultProxy) => Promise<void>> = {
  "silent, also for the cancel request": async (proxy) => {
    proxy.silence();
    await proxy.setMode("black-hole");
  },
  "silent, but for the cancel request": (proxy) => Promise.resolve(proxy.silence()),
  "open, but the cancel request is refused": (proxy) => proxy.setMode("refuse"),
  "open, but the cancel request is cut off": (proxy) => proxy.setMode("close"),
  "open, but the cancel request gets no answer": (proxy) => proxy.setMode("black-hole"),
};
for (const [network, setFault] of Object.entries(networks)) {
  Deno.test(`an abort ends in time when the network is ${network}`, async () => {
    await using server = await startPostgres();
    await using proxy = await FaultProxy.start(server.database);
    using unhandled = watchUnhandled();
    await using lender = poolLender(server.config({ hosts: [proxy.address] }));
    const { code } = await abortSleep(lender, async () => {
      await untilRunning(server, "pg_sleep");
      await setFault(proxy);
    });
    assert.equal(code, "COMMIT_UNKNOWN");
    // Nothing proves it clean, so it is not used again.
    assert.equal(lender.pool.stats().closedCount.error, 1);
    assert.equal(lender.pool.stats().open, 0);

    await proxy.setMode("pass");
    proxy.resume();
    await terminateSessions(server);
    await runOperation(lender, (sql) => sql`select 1`);
    assert.deepEqual(unhandled.reasons, []);
  });
}

Deno.test("an abort while the session is killed causes no unhandled error", async () => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  await using lender = poolLender(server.config());
  const { code } = await abortSleep(lender, async () => {
    await untilRunning(server, "pg_sleep");
    await terminateSessions(server);
  });
  assert.match(code, /^(ABORTED|COMMIT_UNKNOWN)$/);
  await runOperation(lender, (sql) => sql`select 1`);
  assert.deepEqual(unhandled.reasons, []);
});
