import assert from "node:assert/strict";
import { CircuitBreaker } from "../../../../src/database/circuit_breaker/circuit_breaker.ts";
import type { CircuitBreakerOptions } from "../../../../src/database/circuit_breaker/options.ts";
import type { CircuitTransition } from "../../../../src/database/circuit_breaker/state.ts";
import { FakeClock } from "../fake_clock.ts";

/** The failure of the dependency; its message is not for everyone. */
export const DOWN = Object.assign(new Error("connect to db:5432 as root"), {
  code: "ECONNREFUSED",
});
/** How long a slow call takes. */
export const SLOW_MS = 100;
/** When the clock of a test starts. */
export const EPOCH_MS = Date.UTC(2030, 0, 1);

/** A breaker that opens after two failures in a row, and always for the whole limit. */
export function testBreaker(options: CircuitBreakerOptions = {}) {
  const clock = new FakeClock();
  const startedAt = clock.now();
  const transitions: CircuitTransition[] = [];
  const breaker = new CircuitBreaker({
    consecutiveFailureThreshold: 2,
    initialOpenMs: 100,
    maxOpenMs: 1000,
    isFailure: (error) => error === DOWN,
    isIgnored: (error) => error === "ignored",
    clock,
    epochNow: () => EPOCH_MS + clock.now() - startedAt,
    random: () => 1,
    ...options,
  });
  breaker.onTransition((transition) => transitions.push(transition));
  return { breaker, clock, transitions };
}

export type TestBreaker = ReturnType<typeof testBreaker>;

/**
 * Makes one call for each letter. s: success, f: failure, a: an error that is an
 * answer, i: an ignored one, z: a slow success.
 */
export function make(calls: string, { breaker, clock }: TestBreaker): void {
  for (const call of calls) {
    const permit = breaker.tryAcquire();
    assert.ok(permit, `${call} of ${calls} is let through`);
    if (call === "s") permit.success();
    else if (call === "f") permit.failure(DOWN);
    else if (call === "a") permit.failure(new Error("an answer"));
    else if (call === "i") permit.failure("ignored");
    else if (call === "z") {
      clock.advance(SLOW_MS);
      permit.success();
    }
  }
}
