import assert from "node:assert/strict";
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitTransition,
} from "../../../../src/database/circuit_breaker/mod.ts";
import { FakeClock } from "../fake_clock.ts";

/** The failure of the dependency; its message is not for everyone. */
export const DOWN = Object.assign(new Error("connect to db:5432 as root"), {
  code: "ECONNREFUSED",
});
/** What the clock of a test says at the start, in milliseconds. */
export const START_MS = new FakeClock().now();

/** A breaker that opens after two failures in a row, and always for the whole limit. */
export function testBreaker(options: CircuitBreakerOptions = {}) {
  const clock = new FakeClock();
  const transitions: CircuitTransition[] = [];
  const breaker = new CircuitBreaker({
    consecutiveFailureThreshold: 2,
    initialOpenMs: 100,
    maxOpenMs: 1000,
    isFailure: (error) => error === DOWN,
    isIgnored: (error) => error === "ignored",
    clock,
    random: () => 1,
    ...options,
  });
  breaker.onTransition((transition) => transitions.push(transition));
  return { breaker, clock, transitions };
}

export type TestBreaker = ReturnType<typeof testBreaker>;

/**
 * Makes one call for each letter. s: success, f: failure, a: an error that is an answer, i: an
 * ignored one.
 */
export function make(calls: string, { breaker }: TestBreaker): void {
  for (const call of calls) {
    const permit = breaker.tryAcquire();
    assert.ok(permit, `${call} of ${calls} is let through`);
    if (call === "s") permit.success();
    else if (call === "f") permit.failure(DOWN);
    else if (call === "a") permit.failure(new Error("an answer"));
    else if (call === "i") permit.failure("ignored");
  }
}
