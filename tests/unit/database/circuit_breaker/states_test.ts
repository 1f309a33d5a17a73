import assert from "node:assert/strict";
import type { CircuitBreakerOptions } from "../../../../src/database/circuit_breaker/mod.ts";
import { DOWN, make, START_MS, type TestBreaker, testBreaker } from "./support.ts";

function openTest(options?: CircuitBreakerOptions): TestBreaker {
  const test = testBreaker(options);
  make("ff", test);
  assert.equal(test.breaker.state, "open");
  return test;
}

function halfOpenTest(options?: CircuitBreakerOptions): TestBreaker {
  const test = openTest(options);
  test.clock.advance(100);
  assert.equal(test.breaker.state, "half-open");
  return test;
}

const inARow = { consecutiveFailureThreshold: 3, failureRateThreshold: Infinity };
const byRate = {
  consecutiveFailureThreshold: Infinity,
  failureRateThreshold: 0.5,
  slidingWindowSize: 6,
  minimumNumberOfCalls: 4,
};

const openings: readonly {
  readonly name: string;
  readonly options: CircuitBreakerOptions;
  /** As {@linkcode make} takes them. */
  readonly calls: string;
  readonly reason: string | undefined;
}[] = [
  { name: "too few failures in a row", options: inARow, calls: "ff", reason: undefined },
  { name: "enough in a row", options: inARow, calls: "sfff", reason: "consecutiveFailures" },
  { name: "a success between them", options: inARow, calls: "ffsff", reason: undefined },
  { name: "an answer between them", options: inARow, calls: "ffaff", reason: undefined },
  {
    name: "an ignored one between them",
    options: inARow,
    calls: "ffif",
    reason: "consecutiveFailures",
  },
  { name: "only answers", options: inARow, calls: "aaaaaa", reason: undefined },
  { name: "a high rate of too few calls", options: byRate, calls: "fff", reason: undefined },
  { name: "a high rate of enough calls", options: byRate, calls: "fsff", reason: "failureRate" },
  { name: "exactly the rate", options: byRate, calls: "sfsf", reason: "failureRate" },
  {
    name: "the rate reached by a success",
    options: byRate,
    calls: "ffss",
    reason: undefined,
  },
  { name: "a low rate", options: byRate, calls: "sssfsf", reason: undefined },
  {
    name: "successes that have left the window",
    options: byRate,
    calls: "ssssssfff",
    reason: "failureRate",
  },
  { name: "ignored calls", options: byRate, calls: "iiiifff", reason: undefined },
];

for (const { name, options, calls, reason } of openings) {
  Deno.test(`the circuit ${reason ? "opens" : "stays closed"}: ${name}`, () => {
    const test = testBreaker(options);
    make(calls, test);
    assert.equal(test.breaker.state, reason ? "open" : "closed");
    assert.equal(test.transitions.at(-1)?.reason, reason);
    assert.equal(test.breaker.snapshot().lastOpening?.cause, reason && "ECONNREFUSED");
  });
}

Deno.test("an open circuit rejects until its time is over, and says when that is", () => {
  const { breaker, clock } = openTest();
  clock.advance(98.5);
  assert.equal(breaker.tryAcquire(), undefined);
  assert.equal(breaker.rejection().retryAfterMs, 2);
  const { nextProbeInMs, rejectedCount } = breaker.snapshot();
  assert.deepEqual([nextProbeInMs, rejectedCount], [1.5, 1]);
  clock.advance(1.5);
  assert.ok(breaker.tryAcquire());
});

Deno.test("the limit of the open time doubles up to the cap, and starts anew after a close", () => {
  const test = openTest();
  const { breaker, clock } = test;
  for (const openMs of [100, 200, 400, 800, 1000, 1000]) {
    assert.equal(breaker.snapshot().nextProbeInMs, openMs);
    clock.advance(openMs);
    make("f", test);
    assert.equal(breaker.snapshot().lastOpening?.reason, "probeFailed");
  }
  clock.advance(1000);
  make("sff", test);
  assert.equal(breaker.snapshot().nextProbeInMs, 100);
});

Deno.test("the open time is a random part of its limit", () => {
  const { breaker } = openTest({ random: () => 0.25 });
  assert.equal(breaker.snapshot().nextProbeInMs, 25);
});

Deno.test("half-open lets one probe through at a time", () => {
  const { breaker } = halfOpenTest();
  assert.equal(breaker.snapshot().isProbing, false);
  const probe = breaker.tryAcquire();
  assert.equal(probe?.isProbe, true);
  assert.equal(breaker.snapshot().isProbing, true);
  assert.equal(breaker.tryAcquire(), undefined);
  assert.equal(breaker.rejection().retryAfterMs, 100, "nobody knows, so the initial open time");

  probe.ignore();
  assert.ok(breaker.tryAcquire(), "its place is free again");
  assert.equal(breaker.tryAcquire(), undefined);
});

Deno.test("a probe that succeeds closes the circuit and forgets the failures", () => {
  const test = halfOpenTest();
  make("i", test);
  assert.equal(test.breaker.state, "half-open");
  make("s", test);
  assert.equal(test.breaker.tryAcquire()?.isProbe, false);
  const { state, consecutiveFailures, window, lastOpening } = test.breaker.snapshot();
  assert.deepEqual({ state, consecutiveFailures, window }, {
    state: "closed",
    consecutiveFailures: 0,
    window: { calls: 0, failures: 0 },
  });
  assert.equal(lastOpening?.reason, "consecutiveFailures", "it stays known why it was open");
});

Deno.test("a probe without a result counts as failed when its time is over", () => {
  const { breaker, clock, transitions } = halfOpenTest({ probeTimeoutMs: 500 });
  const lost = breaker.tryAcquire();
  clock.advance(499);
  assert.equal(breaker.state, "half-open");
  assert.equal(breaker.tryAcquire(), undefined);

  // Nobody asks when its time is over (500), nor when the open time is over (200 later).
  clock.advance(301);
  assert.ok(breaker.tryAcquire());
  assert.deepEqual(
    transitions.slice(2).map(({ to, reason, atMs }) => [to, reason, atMs - START_MS]),
    [["open", "probeTimeout", 600], ["half-open", "openTimeOver", 800]],
  );
  lost?.success();
  assert.equal(breaker.state, "half-open", "it came too late");
});

Deno.test("a result of an earlier period changes nothing", () => {
  const test = testBreaker();
  const { breaker, clock } = test;
  const [success, failure] = [breaker.tryAcquire(), breaker.tryAcquire()];
  make("ff", test);
  clock.advance(100);
  success?.success();
  failure?.failure(DOWN);
  const { state, window, consecutiveFailures } = breaker.snapshot();
  assert.deepEqual([state, window.calls, consecutiveFailures], ["half-open", 2, 2]);
});

Deno.test("an operator forces it open, for as long as it takes, and resets it", () => {
  const { breaker, clock, transitions } = testBreaker();
  breaker.forceOpen("maintenance");
  clock.advance(1e9);
  assert.equal(breaker.tryAcquire(), undefined);
  const { lastOpening, nextProbeInMs } = breaker.snapshot();
  assert.deepEqual(lastOpening, { reason: "forced", cause: "maintenance", atMs: START_MS });
  assert.equal(nextProbeInMs, undefined);
  assert.equal(breaker.rejection().retryAfterMs, 1000, "nobody knows, so the longest open time");

  breaker.reset();
  assert.ok(breaker.tryAcquire());
  assert.deepEqual(transitions.map(({ from, to, reason, cause }) => [from, to, reason, cause]), [
    ["closed", "open", "forced", "maintenance"],
    ["open", "closed", "reset", undefined],
  ]);
});
