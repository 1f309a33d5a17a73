import assert from "node:assert/strict";
import fc from "fast-check";
import { type Limits, type Step, type Tally, Users } from "./users.ts";

const RUNS = 1_000;

const limits: fc.Arbitrary<Limits> = fc.record({
  max: fc.integer({ min: 1, max: 4 }),
  maxConnecting: fc.integer({ min: 1, max: 4 }),
  maxIdle: fc.integer({ min: 0, max: 3 }),
  minIdle: fc.integer({ min: 0, max: 3 }),
  acquireQueueLimit: fc.constantFrom(0, 1, 3, Infinity),
  maxLifetimeMs: fc.constantFrom(0, 1_000),
  maxIdleTimeMs: fc.constantFrom(0, 200),
  idleCheckAfterMs: fc.constantFrom(0, 50, Infinity),
}).map((limits) => ({ ...limits, maxIdle: Math.min(limits.maxIdle, limits.max) }));

const index = fc.nat({ max: 20 });

/** Steps of one kind, as often as `weight` says. */
function steps<S extends Step>(weight: number, step: fc.Arbitrary<S>) {
  return { weight, arbitrary: step };
}

const step: fc.Arbitrary<Step> = fc.oneof(
  steps(8, fc.record({ do: fc.constant("acquire"), timeoutMs: fc.constantFrom(20, 300, 5_000) })),
  steps(2, fc.constant({ do: "tryAcquire" })),
  steps(5, fc.record({ do: fc.constant("release"), index })),
  steps(6, fc.record({ do: fc.constant("openSucceeds"), index })),
  steps(2, fc.record({ do: fc.constant("openFails"), index })),
  steps(3, fc.record({ do: fc.constant("checkSucceeds"), index })),
  steps(3, fc.record({ do: fc.constantFrom("abort", "break", "die", "checkFails"), index })),
  steps(3, fc.record({ do: fc.constant("pass"), ms: fc.constantFrom(1, 30, 60, 250, 600) })),
  steps(2, fc.constant({ do: "finishCloses" })),
  steps(1, fc.record({ do: fc.constantFrom("reset", "empty", "rejectWaiters", "warmUp") })),
);

const close: fc.Arbitrary<Step> = fc.record({
  do: fc.constant("close"),
  patienceMs: fc.constantFrom(Infinity, 50, 0),
});

/** A pool is used, closed, and used all the same; sometimes closed again. */
const life: fc.Arbitrary<readonly Step[]> = fc.tuple(
  fc.array(step, { maxLength: 150, size: "max" }),
  close,
  fc.array(fc.oneof(steps(9, step), steps(1, close)), { maxLength: 30, size: "max" }),
).map(([before, close, after]) => [...before, close, ...after]);

Deno.test("whatever happens in whatever order, the pool keeps its promises", async () => {
  const tally: Tally = new Map();
  await fc.assert(
    fc.asyncProperty(
      limits,
      life,
      async (limits, steps) => {
        const users = new Users(limits, tally);
        for (const step of steps) await users.step(step);
        await users.finish();
      },
    ),
    { numRuns: RUNS },
  );
  // Otherwise the runs have not been where they were sent.
  for (
    const event of [
      "acquired",
      "waits",
      "leaks",
      "checks",
      "failedChecks",
      "ACQUIRE_TIMEOUT",
      "aborted",
      "QUEUE_FULL",
      "opening failed",
      "turned away",
      "POOL_CLOSED",
      "error",
      "idleTime",
      "lifetime",
      "maxIdle",
      "reset",
      "shutdown",
      "takenAway",
    ]
  ) assert.ok((tally.get(event) ?? 0) > 0, `${event} never happened`);
});
