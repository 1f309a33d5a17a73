import assert from "node:assert/strict";
import { ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import type { DatabaseConfig } from "../../../src/config/config.ts";
import type { PingResult, PoolStats, StateChange } from "../../../src/database/mod.ts";
import { type DatabaseProbe, PostgreSQLChecker } from "../../../src/health/postgresql_checker.ts";
import { HealthRegistry } from "../../../src/health/registry.ts";
import { ManualClock, settle } from "./manual_clock.ts";

// What a real database shows is tested with one, in tests/integration/health_postgresql_test.ts.

function probe(ping: () => Promise<PingResult>, waitCount = 0): DatabaseProbe {
  const config = {
    hosts: [{ host: "::1", port: 5433 }, { host: "other", port: 5432 }],
    database: "treasury_db",
    schema: "public",
    pingTimeoutMs: 5000,
  };
  const pool = { max: 0, inUse: 0, idle: 0, waiting: 0, waitCount, waitDurationMs: 0.5 };
  return {
    name: "postgresql",
    config: config as unknown as DatabaseConfig,
    state: "connected",
    ping,
    poolStats: () => pool as PoolStats,
    accessMode: "READ_WRITE",
    outage: undefined,
    writesBlockedBy: undefined,
    connectError: undefined,
    connectionBudget: undefined,
    circuit: { state: "closed" } as DatabaseProbe["circuit"],
    onStateChange: () => () => {},
  };
}

const pong = () => Promise.resolve({ responseTimeMs: 1, accessMode: "READ_WRITE" } as const);

Deno.test("PostgreSQLChecker: counters that outgrow the contract's numbers stay at its limit", async () => {
  const checker = new PostgreSQLChecker({ database: probe(pong, 2 ** 40) });
  const { config } = await checker.check(new AbortController().signal);
  assert.equal(config?.poolInfo?.waitCount, 2 ** 31 - 1);
  assert.equal(config?.poolInfo?.utilization, 0, "a pool of nothing is not in use");
});

Deno.test("PostgreSQLChecker: names the first host", () => {
  const { target } = new PostgreSQLChecker({ database: probe(pong) });
  assert.equal(target.hostname, "::1");
  assert.equal(target.port, 5433);
});

Deno.test("PostgreSQLChecker: an unforeseen error does not reach the report", async () => {
  const failure = new Error("password=hunter2");
  const database = probe(() => Promise.reject(failure));
  const logged: unknown[] = [];
  const registry = new HealthRegistry({
    checkers: [new PostgreSQLChecker({ database })],
    onCheckError: (_, error) => logged.push(error),
  });
  const report = await registry.check();
  assert.equal(report.dependencies[0]!.errorCode, "CHECK_FAILED");
  assert(!JSON.stringify(report).includes("hunter2"));
  assert.deepEqual(logged, [failure]);
});

Deno.test("PostgreSQLChecker: the first attempt is waited for, not reported as an outage", async () => {
  const listeners = new Set<(change: StateChange) => void>();
  const database = {
    ...probe(pong),
    state: "connecting" as DatabaseProbe["state"],
    accessMode: "UNAVAILABLE" as DatabaseProbe["accessMode"],
    onStateChange: (listener: (change: StateChange) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
  } satisfies DatabaseProbe;
  const check = new PostgreSQLChecker({ database, clock: new ManualClock() })
    .check(new AbortController().signal);
  await settle();
  const tell = () =>
    listeners.forEach((listener) => listener({ ...database } as unknown as StateChange));
  Object.assign(database, { accessMode: "READ_ONLY" }); // by a read host
  tell();
  Object.assign(database, { state: "connected", accessMode: "READ_WRITE" });
  tell();
  assert.equal((await check).status, ServiceStatus.HEALTHY);
  assert.equal(listeners.size, 0);
});

Deno.test("PostgreSQLChecker: an aborted wait for the first attempt leaves no timer and no listener", async () => {
  const clock = new ManualClock();
  let listeners = 0;
  const database: DatabaseProbe = {
    ...probe(pong),
    state: "connecting",
    onStateChange: () => {
      listeners++;
      return () => void listeners--;
    },
  };
  const stop = new AbortController();
  const check = new PostgreSQLChecker({ database, clock }).check(stop.signal);
  await settle();
  assert.deepEqual([clock.timers, listeners], [1, 1]);
  stop.abort(new Error("no longer wanted"));
  await assert.rejects(check, { message: "no longer wanted" });
  assert.deepEqual([clock.timers, listeners], [0, 0]);
});

for (const accessMode of ["UNAVAILABLE", "READ_ONLY"] as const) {
  Deno.test(`PostgreSQLChecker: a first attempt that takes too long is reported (${accessMode})`, async () => {
    const clock = new ManualClock();
    const database: DatabaseProbe = { ...probe(pong), state: "connecting", accessMode };
    const check = new PostgreSQLChecker({ database, clock }).check(new AbortController().signal);
    await clock.advance(5000);
    const { status, errorCode } = await check;
    assert.deepEqual([status, errorCode], [ServiceStatus.UNHEALTHY, "NOT_PREPARED"]);
  });
}
