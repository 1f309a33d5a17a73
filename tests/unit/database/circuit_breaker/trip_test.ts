import assert from "node:assert/strict";
import { DOWN, make, testBreaker } from "./support.ts";

Deno.test("a trip opens at once, however few calls have failed", () => {
  const { breaker, transitions } = testBreaker();
  breaker.tryAcquire()!.trip(DOWN);
  assert.equal(breaker.state, "open");
  assert.deepEqual([transitions[0]?.reason, transitions[0]?.cause], ["tripped", "ECONNREFUSED"]);
  assert.equal(breaker.snapshot().consecutiveFailures, 1);
});

Deno.test("it can ask for a longer open time, which does not shorten the normal one", () => {
  for (const [minOpenMs, expected] of [[5000, 5000], [10, 100], [undefined, 100]] as const) {
    const { breaker } = testBreaker();
    breaker.tryAcquire()!.trip(DOWN, { minOpenMs });
    assert.equal(breaker.snapshot().nextProbeInMs, expected);
    assert.equal(breaker.rejection().retryAfterMs, expected);
  }
});

Deno.test("a probe that trips opens for longer, as a probe that fails does", () => {
  const { breaker, clock } = testBreaker();
  breaker.tryAcquire()!.trip(DOWN);
  clock.advance(100);
  breaker.tryAcquire()!.trip(DOWN);
  assert.equal(breaker.snapshot().nextProbeInMs, 200);
});

Deno.test("a trip of an earlier period changes nothing", () => {
  const test = testBreaker();
  const { breaker, clock, transitions } = test;
  const early = breaker.tryAcquire()!;
  make("ff", test);
  clock.advance(100);
  breaker.tryAcquire()!.success();
  early.trip(DOWN);
  assert.equal(breaker.state, "closed");
  assert.equal(transitions.length, 3);
});
