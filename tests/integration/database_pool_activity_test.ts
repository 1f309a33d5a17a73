import assert from "node:assert/strict";
import fc from "fast-check";
import { connect, type Connection } from "../../src/database/mod.ts";
import { Pool, type PoolOptions } from "../../src/database/pool/mod.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { terminateSessions, untilNoSessions, watchUnhandled } from "../support/database_support.ts";

const MAX_OPEN = 6;

function startPool(
  server: TestPostgres,
  options: Partial<PoolOptions<Connection>> = {},
): Pool<Connection> {
  const config = server.config();
  return new Pool({
    open: (signal) => connect(config, { signal }),
    check: async (connection) => void await connection.role(),
    idleCheckAfterMs: 20,
    max: MAX_OPEN,
    maxConnecting: 2,
    maxIdle: 4,
    maxLifetimeMs: 400,
    maxIdleTimeMs: 200,
    acquireTimeoutMs: 10_000,
    ...options,
  });
}

/** Sessions of the service's user. In a container, a restarted server begins with the same pids. */
async function sessions(server: TestPostgres): Promise<ReadonlySet<string>> {
  const rows = await server.admin<{ session: string }>(
    "select concat(pid, ' since ', backend_start) as session from pg_stat_activity where usename = $1",
    [server.database.user],
  );
  return new Set(rows.map(({ session }) => session));
}

/** Waits until the pool is at rest and the server has exactly the sessions that it counts. */
async function untilEqual(server: TestPostgres, pool: Pool<Connection>): Promise<void> {
  await eventually(async () => {
    const { open, closing, connecting } = pool.stats();
    assert.deepEqual([closing, connecting], [0, 0]);
    assert.equal((await sessions(server)).size, open);
    return pool.stats().open === open;
  }, { what: "pg_stat_activity equals the statistics" });
}

type Use =
  | { readonly do: "query" | "kill" | "break" }
  | { readonly do: "leave"; readonly afterMs: number };

const use: fc.Arbitrary<Use> = fc.oneof(
  { weight: 12, arbitrary: fc.constant<Use>({ do: "query" }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("leave" as const), afterMs: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.constant<Use>({ do: "kill" }) },
  { weight: 1, arbitrary: fc.constant<Use>({ do: "break" }) },
);

/** One caller: acquires, perhaps gives up, runs something, perhaps loses its backend. */
async function run(
  { use, pauseMs }: { readonly use: Use; readonly pauseMs: number },
  server: TestPostgres,
  pool: Pool<Connection>,
  inUse: Set<Connection>,
): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, pauseMs));
  const signal = use.do === "leave" ? AbortSignal.timeout(use.afterMs) : undefined;
  let connection;
  try {
    connection = await pool.acquire({ signal });
  } catch (error) {
    assert.equal(error, signal?.reason);
    return;
  }
  assert.ok(!inUse.has(connection), "one connection has two users");
  inUse.add(connection);
  try {
    if (use.do === "kill") await terminateSessions(server, connection.backendPid);
    const [row] = await connection.sql<{ pid: number }>`
      select pg_backend_pid() as pid, pg_sleep(0.002)
    `;
    assert.equal(row?.pid, connection.backendPid);
  } catch (error) {
    // Who is killed, and who gets a connection that an earlier kill has just reached.
    assert.notEqual((error as Error).name, "AssertionError", String(error));
  } finally {
    inUse.delete(connection);
    pool.release(connection, { broken: use.do === "break" });
  }
}

Deno.test("under random load, cancellations and killed backends, the statistics are the server's", async () => {
  using unhandled = watchUnhandled();
  await using server = await startPostgres();
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ use, pauseMs: fc.nat(60) }), { minLength: 60, maxLength: 120 }),
      async (callers) => {
        await using pool = startPool(server);
        const inUse = new Set<Connection>();
        await Promise.all(callers.map((caller) => run(caller, server, pool, inUse)));
        await untilEqual(server, pool);
        const { openedCount, closedCount, idle, inUse: lent, open, waiting } = pool.stats();
        assert.deepEqual([lent, waiting, open], [0, 0, idle]);
        const closed = Object.values(closedCount).reduce((sum, count) => sum + count);
        assert.equal(openedCount - closed, open);
        await pool.close();
        await untilNoSessions(server);
      },
    ),
    { numRuns: 8 },
  );
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("with room for the pool only, the server refuses no connection", async () => {
  // Three slots are the superuser's; only polite closes, which free a slot before the next opens.
  const settings = { max_connections: String(MAX_OPEN + 3), superuser_reserved_connections: "3" };
  await using server = await startPostgres({ settings });
  await using pool = startPool(server, { maxIdle: 1, maxLifetimeMs: 20, maxIdleTimeMs: 5 });
  await Promise.all(
    Array.from({ length: 200 }, async () => {
      const connection = await pool.acquire();
      await connection.sql`select pg_sleep(0.002)`;
      pool.release(connection);
    }),
  );
  const { openedCount, openFailedCount } = pool.stats();
  assert.ok(openedCount > MAX_OPEN, `only ${openedCount} were opened: nothing was tried`);
  assert.equal(openFailedCount, 0);
});

Deno.test("a backend that dies while idle costs its next caller nothing", async () => {
  await using server = await startPostgres();
  await using pool = startPool(server, { idleCheckAfterMs: 0, maxLifetimeMs: 0, maxIdleTimeMs: 0 });
  const connections = [await pool.acquire(), await pool.acquire()];
  for (const connection of connections) pool.release(connection);
  await terminateSessions(server);
  const connection = await pool.acquire();
  assert.equal((await connection.sql`select 1 as one`)[0]?.one, 1);
  assert.ok(!connections.includes(connection));
  pool.release(connection);
  assert.equal(pool.stats().closedCount.error, 2);
});

Deno.test("a reset after a restart drops the stale generation at once, and warms up again", async () => {
  await using server = await startPostgres();
  await using pool = startPool(server, {
    minIdle: 3,
    maxLifetimeMs: 0,
    maxIdleTimeMs: 0,
    retryDelayMs: () => 50,
  });
  pool.warmUp();
  await eventually(() => pool.stats().idle === 3);
  const before = await sessions(server);

  await server.stop("immediate");
  pool.reset();
  const { idle, inUse, closedCount } = pool.stats();
  assert.deepEqual([idle, inUse, closedCount.reset + closedCount.error], [0, 0, 3]);
  await eventually(() => pool.stats().openFailedCount > 0);
  await server.start();
  await eventually(() => pool.stats().idle === 3, { what: "the pool is warm again" });
  await untilEqual(server, pool);
  assert.equal((await sessions(server)).intersection(before).size, 0);
});

Deno.test("a leak is told with the line that acquired", async () => {
  await using server = await startPostgres();
  const { promise, resolve } = Promise.withResolvers<string>();
  await using pool = startPool(server, {
    leakWarningAfterMs: 20,
    onLeak: ({ stack }) => resolve(stack),
  });
  const connection = await pool.acquire();
  assert.match(await promise, /database_pool_activity_test\.ts/);
  pool.release(connection);
});
