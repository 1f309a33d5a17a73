import assert from "node:assert/strict";
import { DatabaseError } from "../../../src/database/errors.ts";
import { retry, retryDelay } from "../../../src/database/retry.ts";
import { FakeClock, settle } from "./fake_clock.ts";

const refused = new DatabaseError("CONNECTION_REFUSED");
const rejected = new DatabaseError("AUTHENTICATION_FAILED");
const LIMITS = { initialDelayMs: 100, maxDelayMs: 1000, authRetryDelayMs: 5000 };

Deno.test("the limit of the delay doubles up to the cap, and the delay is a random part of it", () => {
  const delays = (random: number) =>
    [1, 2, 3, 4, 5, 2000].map((attempt) =>
      retryDelay(attempt, refused, { ...LIMITS, random: () => random })
    );
  assert.deepEqual(delays(1), [100, 200, 400, 800, 1000, 1000]);
  assert.deepEqual(delays(0.5), [50, 100, 200, 400, 500, 500]);
  assert.deepEqual(delays(0), [0, 0, 0, 0, 0, 0]);
});

Deno.test("an error that cannot pass by itself waits for the longest delay", () => {
  const readOnly = new DatabaseError("READ_ONLY");
  assert.equal(retryDelay(1, readOnly, { ...LIMITS, random: () => 0.1 }), 1000);
});

Deno.test("an outage that cannot pass by itself waits for its own delay, and a random part more", () => {
  const delays = [0, 0.5, 1].map((random) =>
    retryDelay(1, rejected, { ...LIMITS, random: () => random })
  );
  assert.deepEqual(delays, [5000, 5250, 5500]);
});

Deno.test("it tries until it succeeds, and reports each failure", async () => {
  const clock = new FakeClock();
  const failures: [string, number][] = [];
  let attempts = 0;
  const result = retry(
    () => ++attempts < 3 ? Promise.reject(attempts === 1 ? refused : rejected) : Promise.resolve(7),
    {
      ...LIMITS,
      clock,
      random: () => 1,
      signal: new AbortController().signal,
      onFailure: ({ code }, delayMs) => failures.push([code, delayMs]),
    },
  );
  for (const delayMs of [100, 5500]) {
    await settle();
    const before = attempts;
    clock.advance(delayMs - 1);
    await settle();
    assert.equal(attempts, before);
    clock.advance(1);
  }
  assert.equal(await result, 7);
  assert.deepEqual(failures, [["CONNECTION_REFUSED", 100], ["AUTHENTICATION_FAILED", 5500]]);
});

Deno.test("the signal ends the wait, and leaves no timer", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  const result = retry(() => Promise.reject(new TypeError("a fault in the attempt")), {
    ...LIMITS,
    clock,
    random: () => 1,
    signal: controller.signal,
    onFailure: () => {},
  });
  await settle();
  assert.equal(clock.pending, 1);
  controller.abort(refused);
  await assert.rejects(result, refused);
  assert.equal(clock.pending, 0);
});
