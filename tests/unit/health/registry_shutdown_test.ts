import assert from "node:assert/strict";
import { ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import type { HealthReport } from "../../../src/health/report.ts";
import { settle } from "./manual_clock.ts";
import { setUp } from "./registry_setup.ts";

Deno.test("beginShutdown: not ready and UNHEALTHY, told once, also before the first check", async () => {
  const { registry } = setUp();
  const heard: HealthReport[] = [];
  registry.subscribe((report) => heard.push(report));
  registry.beginShutdown();
  registry.beginShutdown();
  assert.deepEqual(registry.readiness, { ready: false, reason: "Service is shutting down" });
  assert.deepEqual(heard.map(({ status }) => status), [ServiceStatus.UNHEALTHY]);
  assert.equal((await registry.check()).message, "Service is shutting down");
  const ledger = await registry.check({ dependency: "ledger" });
  assert.equal(ledger.status, ServiceStatus.HEALTHY, "the dependency itself is fine");
});

Deno.test("close: ends checks, timers and subscriptions", async () => {
  const { clock, ledger, registry } = setUp();
  registry.start();
  await settle();
  ledger.change();
  ledger.hold();
  const check = registry.check();
  await settle();
  assert.equal(ledger.listeners, 1);
  await registry.close();
  assert.equal((await check).dependencies[0]!.errorCode, "CHECK_CANCELLED");
  assert(ledger.signals.at(-1)!.aborted);
  assert.equal(registry.latest("ledger")?.status, ServiceStatus.HEALTHY, "not remembered");
  assert.equal(clock.timers, 0);
  assert.equal(ledger.listeners, 0);
  await assert.rejects(registry.check(), /closed/);
});

Deno.test("close: during the first background check, no other follows", async () => {
  const { clock, ledger, registry } = setUp();
  ledger.hold();
  registry.start();
  await settle();
  await registry[Symbol.asyncDispose]();
  await clock.advance(60_000);
  assert.equal(ledger.checks, 1);
  assert.equal(clock.timers, 0);
});
