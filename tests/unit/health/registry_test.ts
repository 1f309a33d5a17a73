import assert from "node:assert/strict";
import { ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import { HealthRegistry, UnknownDependencyError } from "../../../src/health/registry.ts";
import type { HealthReport } from "../../../src/health/report.ts";
import { settle } from "./manual_clock.ts";
import { setUp } from "./registry_setup.ts";
import { DEGRADED, HEALTHY, ScriptedChecker, UNHEALTHY } from "./scripted_checker.ts";

Deno.test("check: asks every dependency side by side and sums up", async () => {
  const { clock, ledger, rates, registry } = setUp();
  const release = [ledger.hold(), rates.hold()];
  rates.finding = UNHEALTHY;
  const check = registry.check();
  await settle();
  assert.deepEqual([ledger.checks, rates.checks], [1, 1]);
  await clock.advance(23);
  release.forEach((open) => open());

  const report = await check;
  assert.equal(report.status, ServiceStatus.DEGRADED);
  assert.equal(report.message, "Service is degraded because of rates (Gone)");
  assert.deepEqual(report.dependencies.map(({ name }) => name), ["ledger", "rates"]);
  assert.equal(report.checkedAt, "2025-01-10T10:30:00Z");
  assert.equal(report.checkDurationMs, 23);
});

Deno.test("check: one dependency alone has its own verdict and leaves the others alone", async () => {
  const { ledger, registry } = setUp();
  ledger.finding = UNHEALTHY;
  const report = await registry.check({ dependency: "rates" });
  assert.equal(report.status, ServiceStatus.HEALTHY);
  assert.deepEqual(report.dependencies.map(({ name }) => name), ["rates"]);
  assert.equal(ledger.checks, 0);
});

Deno.test("check: a thousand callers share one check, whichever dependency they ask for", async () => {
  const { ledger, rates, registry } = setUp();
  const release = [ledger.hold(), rates.hold()];
  const names = ["", "ledger", "rates", undefined];
  const checks = Array.from(
    { length: 1000 },
    (_, index) => registry.check({ dependency: names[index % names.length] }),
  );
  release.forEach((open) => open());
  const reports = await Promise.all(checks);
  assert(reports.every(({ status }) => status === ServiceStatus.HEALTHY));
  assert.deepEqual([ledger.checks, rates.checks], [1, 1]);
  await registry.check();
  assert.deepEqual([ledger.checks, rates.checks], [2, 2]);
});

Deno.test("check: a caller that leaves ends its own wait, not the check", async () => {
  const { ledger, registry } = setUp();
  const release = ledger.hold();
  const leave = new AbortController();
  const leaving = registry.check({ signal: leave.signal });
  const staying = registry.check();
  await settle();
  const reason = new Error("bye");
  leave.abort(reason);
  await assert.rejects(leaving, reason);
  assert.equal(ledger.signals[0]!.aborted, false);
  release();
  assert.equal((await staying).status, ServiceStatus.HEALTHY);
  assert.equal(ledger.checks, 1);
});

Deno.test("check: when the last caller leaves, the check still ends and is remembered", async () => {
  const { ledger, registry } = setUp();
  const release = ledger.hold();
  const leave = new AbortController();
  const leaving = registry.check({ signal: leave.signal });
  await settle();
  leave.abort();
  await assert.rejects(leaving, { name: "AbortError" });
  assert.equal(registry.latest(), undefined);
  release();
  await settle();
  assert.equal(registry.latest()?.status, ServiceStatus.HEALTHY);
});

Deno.test("check: a caller that has already left costs nothing", async () => {
  const { ledger, registry } = setUp();
  await assert.rejects(registry.check({ signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(ledger.checks, 0);
});

Deno.test("check: a checker that overruns its limit is UNHEALTHY, the others are not", async () => {
  const { clock, ledger, registry } = setUp();
  ledger.hold();
  const check = registry.check();
  await clock.advance(999);
  assert.equal(ledger.signals[0]!.aborted, false);
  await clock.advance(1);
  const [slow, fine] = (await check).dependencies;
  assert.equal(slow!.status, ServiceStatus.UNHEALTHY);
  assert.equal(slow!.errorCode, "CHECK_TIMEOUT");
  assert.equal(slow!.responseTimeMs, 1000);
  assert.equal(slow!.config!.hostname, "localhost");
  assert.equal(fine!.status, ServiceStatus.HEALTHY);
  assert(ledger.signals[0]!.aborted);
  assert.equal(clock.timers, 0);
});

Deno.test("check: what a checker throws goes to the log and not into the report", async () => {
  const seen: unknown[] = [];
  const { clock, ledger, registry } = setUp({ onCheckError: (...what) => seen.push(what) });
  ledger.fault = new Error("postgres://treasury:hunter2@db failed");
  const report = await registry.check();
  const [broken] = report.dependencies;
  assert.equal(broken!.status, ServiceStatus.UNHEALTHY);
  assert.equal(broken!.errorCode, "CHECK_FAILED");
  assert(!JSON.stringify(report).includes("hunter2"));
  assert.deepEqual(seen, [["ledger", ledger.fault]]);
  assert.equal(clock.timers, 0);
});

Deno.test("check: a checker that throws at once is no different", async () => {
  const { ledger, registry } = setUp();
  ledger.check = () => {
    throw new Error("defect");
  };
  const [broken] = (await registry.check()).dependencies;
  assert.equal(broken!.errorCode, "CHECK_FAILED");
});

Deno.test("an unknown dependency is named together with the known ones", async () => {
  const { registry } = setUp();
  const expected = {
    name: "UnknownDependencyError",
    message: 'Unknown dependency "ledgre"; known dependencies: ledger, rates',
  };
  await assert.rejects(registry.check({ dependency: "ledgre" }), expected);
  await assert.rejects(registry.cached({ dependency: "ledgre" }), expected);
  assert.throws(() => registry.latest("ledgre"), UnknownDependencyError);
});

Deno.test("two checkers of one name are refused", () => {
  const checkers = [new ScriptedChecker("ledger"), new ScriptedChecker("ledger")];
  assert.throws(() => new HealthRegistry({ checkers }), /same name/);
});

Deno.test("cached: checks once, then never", async () => {
  const { ledger, rates, registry } = setUp();
  assert.equal((await registry.cached()).status, ServiceStatus.HEALTHY);
  ledger.finding = UNHEALTHY;
  assert.equal((await registry.cached()).status, ServiceStatus.HEALTHY);
  assert.equal((await registry.cached({ dependency: "ledger" })).status, ServiceStatus.HEALTHY);
  assert.deepEqual([ledger.checks, rates.checks], [1, 1]);
});

Deno.test("start: checks at once and then at the interval, off by up to a tenth", async () => {
  let random = 0.5;
  const { clock, ledger, registry } = setUp({ random: () => random });
  registry.start();
  registry.start();
  await settle();
  assert.equal(ledger.checks, 1);
  await clock.advance(9_999);
  assert.equal(ledger.checks, 1);
  random = 0;
  await clock.advance(1);
  assert.equal(ledger.checks, 2);
  random = 1;
  await clock.advance(9_000);
  assert.equal(ledger.checks, 3);
  await clock.advance(10_999);
  assert.equal(ledger.checks, 3);
  await clock.advance(1);
  assert.equal(ledger.checks, 4);
  await registry.close();
});

Deno.test("a change is checked at once, a burst of changes once", async () => {
  const { clock, ledger, rates, registry } = setUp();
  registry.start();
  await settle();
  for (let i = 0; i < 10; i++) ledger.change();
  await clock.advance(100);
  assert.deepEqual([ledger.checks, rates.checks], [2, 1]);
  ledger.change();
  await clock.advance(100);
  assert.equal(ledger.checks, 3);
  await registry.close();
});

Deno.test("a change during a check leads to one more check after it", async () => {
  const { clock, ledger, registry } = setUp();
  registry.start();
  await settle();
  const release = ledger.hold();
  const check = registry.check();
  await settle();
  ledger.change();
  await clock.advance(100);
  ledger.change();
  await clock.advance(100);
  assert.equal(ledger.checks, 2);
  ledger.finding = UNHEALTHY;
  ledger.gate = Promise.resolve();
  release();
  await check;
  await clock.advance(100);
  assert.equal(ledger.checks, 3);
  assert.equal(ledger.mostAtOnce, 1);
  assert.equal(registry.latest("ledger")?.status, ServiceStatus.UNHEALTHY);
  await registry.close();
});

Deno.test("subscribers hear of changes and of nothing else", async () => {
  const { clock, ledger, rates, registry } = setUp();
  const heard: HealthReport[] = [];
  const unsubscribe = registry.subscribe((report) => heard.push(report));
  const stories = () => heard.splice(0).map(({ message }) => message);

  await registry.check({ dependency: "ledger" });
  assert.deepEqual(stories(), [], "no news while a dependency is unknown");
  await registry.check();
  assert.deepEqual(stories(), ["Service is fully operational"]);
  await clock.advance(5000);
  await registry.check();
  assert.deepEqual(stories(), [], "the same again");
  rates.finding = DEGRADED;
  await registry.check({ dependency: "rates" });
  assert.deepEqual(stories(), ["Service is degraded because of rates (Slow)"]);
  ledger.finding = UNHEALTHY;
  await registry.check({ dependency: "ledger" });
  assert.deepEqual(stories(), [
    "Service is unhealthy because of ledger (Gone), rates (Slow)",
  ]);
  unsubscribe();
  ledger.finding = HEALTHY;
  await registry.check();
  assert.deepEqual(stories(), [], "after the end of the subscription");
});

Deno.test("a subscriber that throws is an uncaught error, and stops neither others nor checks", async () => {
  const uncaught: unknown[] = [];
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    uncaught.push(event.error);
  };
  addEventListener("error", onError);
  try {
    const { registry, clock, ledger } = setUp();
    const defect = new Error("a defect");
    registry.subscribe(() => {
      throw defect;
    });
    const heard: ServiceStatus[] = [];
    registry.subscribe(({ status }) => heard.push(status));
    registry.start();
    await settle();
    ledger.finding = UNHEALTHY;
    await clock.advance(10_000);
    assert.deepEqual(heard, [ServiceStatus.HEALTHY, ServiceStatus.UNHEALTHY]);
    assert.deepEqual(uncaught, [defect, defect]);
    await registry.close();
  } finally {
    removeEventListener("error", onError);
  }
});

Deno.test("a subscriber has heard the news before the caller gets them", async () => {
  const { registry } = setUp();
  let heard: HealthReport | undefined;
  registry.subscribe((report) => heard = report);
  const report = await registry.check();
  assert.deepEqual(heard, report);
});

Deno.test("readiness: not before the first check, not when UNHEALTHY, but when DEGRADED", async () => {
  const { ledger, registry } = setUp();
  assert.deepEqual(registry.readiness, {
    ready: false,
    reason: "The dependencies have not been checked yet",
  });
  await registry.check();
  assert.deepEqual(registry.readiness, { ready: true, reason: "Service is fully operational" });
  ledger.finding = DEGRADED;
  await registry.check();
  assert.equal(registry.readiness.ready, true);
  ledger.finding = UNHEALTHY;
  await registry.check();
  assert.deepEqual(registry.readiness, {
    ready: false,
    reason: "Service is unhealthy because of ledger (Gone)",
  });
});

Deno.test("readiness: with nothing to depend on, at once", () => {
  assert(setUp({ checkers: [] }).registry.readiness.ready);
});
