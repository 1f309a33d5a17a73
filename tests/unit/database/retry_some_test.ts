import assert from "node:assert/strict";
import { DatabaseError } from "../../../src/database/errors.ts";
import { retrySome, type RetrySomeOptions } from "../../../src/database/retry.ts";
import { FakeClock, settle } from "./fake_clock.ts";

const CONFLICT = new DatabaseError("DEADLOCK");

function options(clock: FakeClock, signal?: AbortSignal): RetrySomeOptions {
  return {
    retries: 3,
    isRetryable: (error) => error === CONFLICT,
    initialDelayMs: 10,
    maxDelayMs: 25,
    random: () => 1,
    clock,
    signal,
  };
}

Deno.test("retrySome: tries as often as it may, with growing delays, and throws the last error", async () => {
  const clock = new FakeClock();
  let attempts = 0;
  const result = retrySome(() => (attempts++, Promise.reject(CONFLICT)), options(clock));
  const rejected = assert.rejects(result, CONFLICT);
  for (const [index, delayMs] of [10, 20, 25].entries()) {
    await settle();
    clock.advance(delayMs - 1);
    await settle();
    assert.equal(attempts, index + 1);
    clock.advance(1);
  }
  await rejected;
  assert.equal(attempts, 4);
  assert.equal(clock.pending, 0);
});

Deno.test("retrySome: throws everything else at once, as it is", async () => {
  for (const thrown of [new TypeError("own"), "text", undefined]) {
    let attempts = 0;
    const attempt = () => (attempts++, Promise.reject(thrown));
    await retrySome(attempt, options(new FakeClock())).then(
      () => assert.fail("it did not reject"),
      (error) => assert.equal(error, thrown),
    );
    assert.equal(attempts, 1);
  }
});

Deno.test("retrySome: an abort ends the delay", async () => {
  const clock = new FakeClock();
  const abort = new AbortController();
  const reason = new DatabaseError("STATEMENT_TIMEOUT");
  const result = retrySome(() => Promise.reject(CONFLICT), options(clock, abort.signal));
  const rejected = assert.rejects(result, reason);
  await settle();
  assert.equal(clock.pending, 1);
  abort.abort(reason);
  await rejected;
  assert.equal(clock.pending, 0);
});

Deno.test("retrySome: success counts, also when the signal has aborted meanwhile", async () => {
  const abort = new AbortController();
  const attempt = () => (abort.abort(), Promise.resolve("committed"));
  assert.equal(await retrySome(attempt, options(new FakeClock(), abort.signal)), "committed");
});
