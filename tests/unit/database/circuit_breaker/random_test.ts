import assert from "node:assert/strict";
import fc from "fast-check";
import {
  CircuitBreaker,
  type CircuitPermit,
  type CircuitTransition,
} from "../../../../src/database/circuit_breaker/mod.ts";
import { SlidingWindow } from "../../../../src/database/circuit_breaker/sliding_window.ts";
import { type End, ModelBreaker, type ModelOptions } from "./model.ts";
import { FakeClock } from "../fake_clock.ts";

const RUNS = 1500;
const DOWN = Object.assign(new Error("down"), { code: "DOWN" });

type Command =
  | { readonly do: "acquire" | "reset" | "forceOpen" }
  | { readonly do: "end"; readonly index: number; readonly end: End }
  | { readonly do: "pass"; readonly ms: number };

const ends: readonly End[] = [
  "success",
  "failure",
  "trip",
  "answer",
  "ignored",
  "ignore",
  "dispose",
];
const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 40, arbitrary: fc.constant({ do: "acquire" } as const) },
  {
    weight: 50,
    arbitrary: fc.record({
      do: fc.constant("end" as const),
      index: fc.nat(),
      end: fc.oneof(
        { weight: 4, arbitrary: fc.constant<End>("failure") },
        { weight: 4, arbitrary: fc.constant<End>("success") },
        { weight: 2, arbitrary: fc.constantFrom(...ends) },
      ),
    }),
  },
  {
    weight: 20,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      ms: fc.oneof(fc.nat({ max: 15 }), fc.nat({ max: 120 })),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ do: "reset" } as const, { do: "forceOpen" } as const) },
);

// Times are whole milliseconds and jitter is in eighths of multiples of 8, so that a model that
// goes through time by the millisecond meets every moment.
const options: fc.Arbitrary<ModelOptions> = fc.record({
  consecutiveFailureThreshold: fc.constantFrom(1, 2, 3, Infinity),
  failureRateThreshold: fc.constantFrom(0.25, 0.5, 1, Infinity),
  slidingWindowSize: fc.integer({ min: 4, max: 6 }),
  minimumNumberOfCalls: fc.integer({ min: 1, max: 4 }),
  initialOpenMs: fc.constantFrom(8, 16),
  maxOpenMs: fc.constantFrom(16, 64),
  probeTimeoutMs: fc.constantFrom(50, Infinity),
});

/** A breaker and its model, which get the same calls. */
class Pair {
  readonly #clock = new FakeClock();
  readonly #options: ModelOptions;
  readonly #breaker: CircuitBreaker;
  readonly #model: ModelBreaker;
  readonly #permits = new Map<number, CircuitPermit>();
  readonly transitions: CircuitTransition[] = [];
  #draw = 0;
  #id = 0;

  constructor(options: ModelOptions) {
    this.#options = options;
    this.#breaker = new CircuitBreaker({
      ...options,
      clock: this.#clock,
      random: () => (this.#draw = (this.#draw + 0.375) % 1),
      isFailure: (error) => error === DOWN,
      isIgnored: (error) => error === "ignored",
    });
    this.#model = new ModelBreaker(options, this.#clock.now(), () => this.#draw);
    this.#breaker.onTransition((transition) => {
      assert.equal(transition.from, this.transitions.at(-1)?.to ?? "closed");
      assert.ok(
        transition.atMs >= (this.transitions.at(-1)?.atMs ?? 0),
        "in order of time",
      );
      this.transitions.push(transition);
    });
  }

  step(command: Command): void {
    if (command.do === "acquire") this.#acquire();
    else if (command.do === "end") this.#end(command);
    else if (command.do === "pass") {
      this.#clock.advance(command.ms);
      // Asked once, at the end, and first: the model takes the breaker's jitter.
      void this.#breaker.state;
      this.#model.pass(command.ms);
    } else if (command.do === "reset") {
      this.#breaker.reset();
      this.#model.reset();
    } else {
      this.#breaker.forceOpen("maintenance");
      this.#model.forceOpen("maintenance");
    }
    this.check();
  }

  check(): void {
    const snapshot = this.#breaker.snapshot();
    this.#model.look();
    assert.deepEqual(snapshot, this.#model.snapshot());
    assert.ok(!snapshot.isProbing || snapshot.state === "half-open");
    assert.ok((snapshot.nextProbeInMs ?? 0) <= this.#options.maxOpenMs);
    assert.equal(snapshot.transitionCount, this.transitions.length);
    assert.equal(this.transitions.at(-1)?.atMs, this.#model.enteredAtMs);
    assert.equal(snapshot.state, this.transitions.at(-1)?.to ?? "closed");
    assert.equal(this.#clock.pending, 0, "no timers");
  }

  #acquire(): void {
    const { state } = this.#breaker;
    const permit = this.#breaker.tryAcquire();
    const id = this.#id++;
    if (permit !== undefined) this.#permits.set(id, permit);
    assert.equal(permit !== undefined, this.#model.acquire(id));
    if (state === "open") assert.equal(permit, undefined);
    if (state === "closed") assert.ok(permit);
  }

  #end({ index, end }: Extract<Command, { do: "end" }>): void {
    const [id, permit] = [...this.#permits][index % this.#permits.size] ?? [];
    if (id === undefined || permit === undefined) return;
    this.#permits.delete(id);
    if (end === "failure") permit.failure(DOWN);
    else if (end === "trip") permit.trip(DOWN);
    else if (end === "answer") permit.failure(new Error("a constraint"));
    else if (end === "ignored") permit.failure("ignored");
    else if (end === "dispose") permit[Symbol.dispose]();
    else permit[end]();
    // Only the first end counts.
    permit.failure(DOWN);
    this.#model.end(id, end);
  }
}

Deno.test("whatever happens in whatever order, the breaker does what its model does", () => {
  const reasons = new Set<string>();
  fc.assert(
    fc.property(
      options.filter(({ initialOpenMs, maxOpenMs }) => initialOpenMs <= maxOpenMs),
      fc.array(command, { maxLength: 120, size: "max" }),
      (options, commands) => {
        const pair = new Pair(options);
        for (const command of commands) pair.step(command);
        for (const { reason } of pair.transitions) reasons.add(reason);
      },
    ),
    { numRuns: RUNS },
  );
  // Otherwise the runs have not been where they were sent.
  assert.deepEqual([...reasons].sort(), [
    "consecutiveFailures",
    "failureRate",
    "forced",
    "openTimeOver",
    "probeFailed",
    "probeSucceeded",
    "probeTimeout",
    "reset",
    "tripped",
  ]);
});

Deno.test("a sliding window counts the last calls, and only those", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 8 }),
    fc.array(fc.record({ failed: fc.boolean(), times: fc.nat({ max: 20 }) }), { size: "medium" }),
    (size, runs) => {
      const window = new SlidingWindow(size);
      const all: boolean[] = [];
      for (const { failed, times } of runs) {
        window.add(failed, times);
        all.push(...Array<boolean>(times).fill(failed));
        const last = all.slice(-size);
        assert.equal(window.calls, last.length);
        assert.equal(window.failures, last.filter(Boolean).length);
      }
      window.clear();
      assert.deepEqual([window.calls, window.failures], [0, 0]);
      window.add(false);
      assert.deepEqual([window.calls, window.failures], [1, 0]);
    },
  ));
});
