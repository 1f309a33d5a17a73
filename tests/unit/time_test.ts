import assert from "node:assert/strict";
import {
  abortable,
  AnySignal,
  Deadline,
  MAX_TIMER_MS,
  SharedTimeout,
  sleep,
} from "../../src/time.ts";
import { FakeClock, settle } from "./database/fake_clock.ts";

/** A signal that knows how many listeners it has. */
class CountedSignal extends EventTarget {
  aborted = false;
  reason: unknown;
  listeners = 0;

  override addEventListener(...args: Parameters<EventTarget["addEventListener"]>): void {
    this.listeners++;
    super.addEventListener(...args);
  }

  override removeEventListener(...args: Parameters<EventTarget["removeEventListener"]>): void {
    this.listeners--;
    super.removeEventListener(...args);
  }

  get signal(): AbortSignal {
    return this as unknown as AbortSignal;
  }
}

Deno.test("AnySignal: aborts with the first of its signals, for that one's reason", () => {
  const [first, second] = [new AbortController(), new AbortController()];
  using any = new AnySignal([first.signal, second.signal]);
  assert.equal(any.signal.aborted, false);
  second.abort("second");
  first.abort("first");
  assert.equal(any.signal.reason, "second");
});

Deno.test("AnySignal: has aborted from the beginning when one of its signals has", () => {
  using any = new AnySignal([new AbortController().signal, AbortSignal.abort("before")]);
  assert.equal(any.signal.reason, "before");
});

Deno.test("AnySignal: disposed, it leaves nothing on a signal that lives on", () => {
  const longLived = new CountedSignal();
  for (let call = 0; call < 100; call++) {
    using _any = new AnySignal([longLived.signal]);
    assert.equal(longLived.listeners, 1);
  }
  assert.equal(longLived.listeners, 0);
});

Deno.test("Deadline: aborts when its time is over, with the error that it was given", () => {
  const clock = new FakeClock();
  const late = new Error("late");
  using deadline = new Deadline({ timeoutMs: 100, onTimeout: () => late, clock });
  clock.advance(99);
  assert.equal(deadline.signal.aborted, false);
  clock.advance(1);
  assert.equal(deadline.signal.reason, late);
});

Deno.test("Deadline: without a custom error it aborts as AbortSignal.timeout does", () => {
  const clock = new FakeClock();
  using deadline = new Deadline({ timeoutMs: 100, clock });
  clock.advance(100);
  assert.equal((deadline.signal.reason as Error).name, "TimeoutError");
});

Deno.test("Deadline: aborts with another signal, for that one's reason as it is", () => {
  const clock = new FakeClock();
  const parent = new AbortController();
  using deadline = new Deadline({ timeoutMs: 100, signal: parent.signal, clock });
  parent.abort("left");
  clock.advance(100);
  assert.equal(deadline.signal.reason, "left");
  using late = new Deadline({ timeoutMs: 100, signal: parent.signal, clock });
  assert.equal(late.signal.reason, "left");
});

Deno.test("Deadline: longer than any timer it has no time limit, and disposed it leaves nothing", () => {
  const clock = new FakeClock();
  const parent = new CountedSignal();
  {
    using _unlimited = new Deadline({ timeoutMs: Infinity, clock });
    assert.equal(clock.pending, 0);
    using _limited = new Deadline({ timeoutMs: MAX_TIMER_MS, signal: parent.signal, clock });
    assert.deepEqual([clock.pending, parent.listeners], [1, 1]);
  }
  assert.deepEqual([clock.pending, parent.listeners], [0, 0]);
});

Deno.test("abortable: settles as its promise, or rejects with the signal's reason", async () => {
  const controller = new AbortController();
  const { signal } = controller;
  const failure = new Error("failed");
  assert.equal(await abortable(Promise.resolve(1), signal), 1);
  assert.equal(await abortable(Promise.resolve(1)), 1);
  await assert.rejects(abortable(Promise.reject(failure), signal), (error) => error === failure);
  const endless = abortable(new Promise(() => {}), signal);
  const reason = new Error("aborted");
  controller.abort(reason);
  await assert.rejects(endless, (error) => error === reason);
  await assert.rejects(abortable(new Promise(() => {}), signal), (error) => error === reason);
  assert.equal(await abortable(Promise.resolve(1), signal), 1, "what is there is not dropped");
});

Deno.test("abortable: leaves nothing on a signal that lives on", async () => {
  const longLived = new CountedSignal();
  await abortable(Promise.resolve(), longLived.signal);
  assert.equal(longLived.listeners, 0);
});

Deno.test("sleep: waits for its time, or for the signal, and leaves no timer", async () => {
  const clock = new FakeClock();
  const controller = new AbortController();
  let isAwake = false;
  void sleep(100, controller.signal, clock).then(() => isAwake = true);
  clock.advance(99);
  await settle();
  assert.equal(isAwake, false);
  clock.advance(1);
  await settle();
  assert.equal(isAwake, true);

  const aborted = sleep(100, controller.signal, clock);
  controller.abort("reason");
  await assert.rejects(aborted, (error) => error === "reason");
  assert.equal(clock.pending, 0);
});

Deno.test("SharedTimeout: one timer tells each item's end at its own time", () => {
  const clock = new FakeClock();
  const told: [string, number][] = [];
  const timeout = new SharedTimeout<string>(clock, 100, (item, elapsedMs) => {
    told.push([item, elapsedMs]);
  });
  for (const item of ["a", "b", "c"]) {
    timeout.add(item);
    assert.equal(clock.pending, 1);
    clock.advance(30);
  }
  timeout.delete("b");
  clock.advance(100);
  assert.deepEqual(told, [["a", 100], ["c", 100]]);
  assert.equal(clock.pending, 0);

  timeout.add("d");
  timeout.clear();
  assert.equal(clock.pending, 0);
});
