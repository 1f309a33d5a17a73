import assert from "node:assert/strict";
import type { DatabaseConfig } from "../../../src/config/config.ts";
import type { PingResult, PoolStats } from "../../../src/database/mod.ts";
import { type DatabaseProbe, PostgreSQLChecker } from "../../../src/health/postgresql_checker.ts";
import { HealthRegistry } from "../../../src/health/registry.ts";

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
    config: config as unknown as DatabaseConfig,
    ping,
    poolStats: () => pool as PoolStats,
    accessMode: "READ_WRITE",
    lastError: undefined,
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
