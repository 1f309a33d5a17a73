import assert from "node:assert/strict";
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  CircuitOpenError,
} from "../../../../src/database/circuit_breaker/mod.ts";
import { DOWN, make, testBreaker } from "./support.ts";

Deno.test("execute returns the result or throws the error of the operation, and counts it", async () => {
  const { breaker } = testBreaker();
  assert.equal(await breaker.execute(() => Promise.resolve(1)), 1);
  await assert.rejects(breaker.execute(() => Promise.reject(DOWN)), DOWN);
  const fails = () => {
    throw DOWN;
  };
  await assert.rejects(breaker.execute(fails), DOWN);
  let called = false;
  const rejected = breaker.execute(() => called = true);
  await assert.rejects(rejected, (error) => {
    assert.ok(error instanceof CircuitOpenError);
    assert.equal(error.retryAfterMs, 100);
    return true;
  });
  assert.equal(called, false);
  assert.deepEqual(breaker.snapshot().window, { calls: 3, failures: 2 });
});

Deno.test("execute ignores what fails after its caller aborted, and calls nothing if before", async () => {
  const { breaker } = testBreaker();
  const controller = new AbortController();
  const { signal } = controller;
  const operation = (given: AbortSignal | undefined) => {
    assert.equal(given, signal);
    controller.abort();
    return Promise.reject(DOWN);
  };
  await assert.rejects(breaker.execute(operation, { signal }), DOWN);
  await assert.rejects(breaker.execute(operation, { signal }), { name: "AbortError" });
  assert.deepEqual(breaker.snapshot().window.calls, 0);
});

Deno.test("a permit counts once, and none that is disposed untold", () => {
  const { breaker } = testBreaker();
  const permit = breaker.tryAcquire();
  permit?.failure(DOWN);
  permit?.failure(DOWN);
  permit?.success();
  {
    using untold = breaker.tryAcquire();
    assert.ok(untold);
  }
  const { consecutiveFailures, window } = breaker.snapshot();
  assert.deepEqual([consecutiveFailures, window.calls], [1, 1]);
});

Deno.test("a classification that throws releases the probe's permit", () => {
  const test = testBreaker({
    isIgnored: (error) => {
      if (error !== DOWN) throw new TypeError("a fault of the caller");
      return false;
    },
  });
  make("ff", test);
  test.clock.advance(100);
  assert.throws(() => test.breaker.tryAcquire()?.failure("odd"), TypeError);
  assert.ok(test.breaker.tryAcquire());
});

Deno.test("a listener that throws stops neither the breaker nor the other listeners", () => {
  const errors: unknown[] = [];
  const fault = new Error("a listener's fault");
  const test = testBreaker({ onListenerError: (error) => errors.push(error) });
  test.breaker.onTransition(() => {
    throw fault;
  });
  const heard: string[] = [];
  const stop = test.breaker.onTransition(({ to }) => heard.push(to));
  make("ff", test);
  assert.equal(test.breaker.state, "open");
  assert.deepEqual([errors, heard], [[fault], ["open"]]);

  stop();
  test.breaker.reset();
  assert.deepEqual(heard, ["open"]);
});

Deno.test("a listener that changes the state lets all hear both changes in order", () => {
  const test = testBreaker();
  const stop = test.breaker.onTransition(() => {
    stop();
    test.breaker.reset();
  });
  const heard: string[] = [];
  test.breaker.onTransition(({ to }) => heard.push(to));
  make("ff", test);
  assert.deepEqual(heard, ["open", "closed"]);
  assert.equal(test.breaker.state, "closed");
});

Deno.test("a snapshot is frozen in all its parts, and shows no message of an error", () => {
  const test = testBreaker();
  make("ff", test);
  const snapshot = test.breaker.snapshot();
  for (const part of [snapshot, snapshot.window, snapshot.lastOpening]) {
    assert.ok(Object.isFrozen(part));
  }
  assert.equal(snapshot.lastOpening?.cause, "ECONNREFUSED");
  assert.doesNotMatch(JSON.stringify(snapshot), /root/);
});

const causes: readonly (readonly [name: string, error: unknown, cause: string])[] = [
  ["an error with a code", Object.assign(new Error("secret"), { code: "28P01" }), "28P01"],
  ["a code that is a text", Object.assign(new Error("secret"), { code: "a secret" }), "Error"],
  ["a code that is a number", Object.assign(new Error("secret"), { code: 7 }), "Error"],
  ["an error without a code", new TypeError("secret"), "TypeError"],
  ["no error at all", "secret", "string"],
];
for (const [name, error, cause] of causes) {
  Deno.test(`the cause that is shown of ${name} is ${cause}`, () => {
    const { breaker } = testBreaker({ consecutiveFailureThreshold: 1, isFailure: () => true });
    breaker.tryAcquire()?.failure(error);
    assert.equal(breaker.snapshot().lastOpening?.cause, cause);
  });
}

const bad: readonly CircuitBreakerOptions[] = [
  { consecutiveFailureThreshold: 0 },
  { consecutiveFailureThreshold: 1.5 },
  { failureRateThreshold: 0 },
  { failureRateThreshold: 50 },
  { slidingWindowSize: Infinity },
  { minimumNumberOfCalls: 101 },
  { initialOpenMs: -1 },
  { maxOpenMs: 999 },
  { maxOpenMs: Infinity },
  { probeTimeoutMs: NaN },
];
for (const options of bad) {
  const [name = "", value] = Object.entries(options)[0] ?? [];
  Deno.test(`the option ${name} cannot be ${value}`, () => {
    assert.throws(() => new CircuitBreaker(options), (error) => {
      assert.ok(error instanceof RangeError);
      assert.match(error.message, new RegExp(`^${name} must be .*, not ${value}$`));
      return true;
    });
  });
}
