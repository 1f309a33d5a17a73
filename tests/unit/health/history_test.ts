import assert from "node:assert/strict";
import { CircuitState, ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import { HealthHistory } from "../../../src/health/history.ts";
import { HealthRegistry } from "../../../src/health/registry.ts";
import { ManualClock } from "./manual_clock.ts";
import { DEGRADED, HEALTHY, ScriptedChecker, UNHEALTHY } from "./scripted_checker.ts";

const ALL = "";

function setUp(limit?: number) {
  const clock = new ManualClock();
  const ledger = new ScriptedChecker("ledger", true, clock);
  const rates = new ScriptedChecker("rates", false, clock);
  const registry = new HealthRegistry({ checkers: [ledger, rates], clock });
  const history = new HealthHistory(registry, { clock, limit });
  return { clock, ledger, rates, registry, history };
}

Deno.test("history: begins with how everything was found", async () => {
  const { registry, history } = setUp();
  assert.deepEqual(history.events(), []);
  await registry.check();
  const told = history.events().map(({ time, dependency, status }) => [time, dependency, status]);
  const time = "2025-01-10T10:30:00.000Z";
  assert.deepEqual(told, [
    [time, "ledger", ServiceStatus.HEALTHY],
    [time, "rates", ServiceStatus.HEALTHY],
    [time, ALL, ServiceStatus.HEALTHY],
  ]);
});

Deno.test("history: an outage is two events, and the second says how long it was", async () => {
  const { clock, ledger, registry, history } = setUp();
  await registry.check();
  const before = history.events().length;
  ledger.finding = { ...UNHEALTHY, circuitState: CircuitState.CLOSED };
  await registry.check();
  await clock.advance(1000);
  ledger.finding = { ...UNHEALTHY, circuitState: CircuitState.OPEN };
  await registry.check();
  await clock.advance(500);
  await registry.check();
  ledger.finding = { ...HEALTHY, circuitState: CircuitState.CLOSED };
  await registry.check();

  const events = history.events("ledger").slice(1);
  assert.deepEqual(
    events.map(({ time, status, errorCode, circuitState, outageMs }) => ({
      time: time.slice(17),
      status: ServiceStatus[status],
      errorCode,
      circuitState,
      outageMs,
    })),
    [
      {
        time: "00.000Z",
        status: "UNHEALTHY",
        errorCode: "GONE",
        circuitState: CircuitState.CLOSED,
        outageMs: undefined,
      },
      {
        time: "01.000Z",
        status: "UNHEALTHY",
        errorCode: "GONE",
        circuitState: CircuitState.OPEN,
        outageMs: undefined,
      },
      {
        time: "01.500Z",
        status: "HEALTHY",
        errorCode: undefined,
        circuitState: CircuitState.CLOSED,
        outageMs: 1500,
      },
    ],
  );
  const service = history.events().slice(before).filter(({ dependency }) => dependency === ALL);
  assert.deepEqual(service.map(({ outageMs }) => outageMs), [undefined, 1500]);
});

Deno.test("history: that an open circuit is probed is no event", async () => {
  const { ledger, registry, history } = setUp();
  ledger.finding = { ...UNHEALTHY, circuitState: CircuitState.OPEN };
  await registry.check();
  const before = history.events();
  for (const circuitState of [CircuitState.HALF_OPEN, CircuitState.OPEN]) {
    ledger.finding = { ...UNHEALTHY, circuitState };
    await registry.check();
  }
  assert.deepEqual(history.events(), before);

  ledger.finding = { ...UNHEALTHY, circuitState: CircuitState.CLOSED };
  await registry.check();
  assert.equal(history.events().length, before.length + 1);
});

Deno.test("history: what has not changed is no event", async () => {
  const { clock, rates, registry, history } = setUp();
  await registry.check();
  rates.finding = DEGRADED;
  await registry.check();
  const count = history.events().length;
  await clock.advance(60_000);
  await registry.check();
  assert.equal(history.events().length, count);
  assert.deepEqual(history.events("ledger").length, 1);
});

Deno.test("history: keeps the latest", async () => {
  const { ledger, registry, history } = setUp(4);
  for (let turn = 0; turn < 10; turn++) {
    ledger.finding = turn % 2 === 0 ? HEALTHY : UNHEALTHY;
    await registry.check();
  }
  const events = history.events();
  assert.equal(events.length, 4);
  assert.equal(events.at(-1)?.status, ServiceStatus.UNHEALTHY);
});

Deno.test("history: a shutdown is an event of the service", async () => {
  const { registry, history } = setUp();
  await registry.check();
  registry.beginShutdown();
  const last = history.events().at(-1);
  assert.deepEqual([last?.dependency, last?.message], [ALL, "Service is shutting down"]);
});

Deno.test("history: after disposal it records no more events", async () => {
  const { ledger, registry, history } = setUp();
  await registry.check();
  const { length } = history.events();
  history[Symbol.dispose]();
  ledger.finding = UNHEALTHY;
  await registry.check();
  assert.equal(history.events().length, length);
});
