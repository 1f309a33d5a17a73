import assert from "node:assert/strict";
import { follow, type FollowOptions } from "../../../src/health/follow.ts";
import { ManualClock, settle } from "./manual_clock.ts";

/** A number that tells its listeners when it may have changed. */
class Source {
  readonly clock = new ManualClock();
  readonly stop = new AbortController();
  readonly listeners = new Set<() => void>();
  value = 1;

  follow(options: Partial<FollowOptions<number>> = {}) {
    return follow<number>({
      read: () => this.value,
      same: (a, b) => a === b,
      subscribe: (listener) => {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
      },
      signal: this.stop.signal,
      clock: this.clock,
      ...options,
    });
  }

  set(value: number): void {
    this.value = value;
    for (const listener of this.listeners) listener();
  }
}

const initial = (value: number) => ({ done: false, value: { reason: "initial", value } });
const change = (value: number) => ({ done: false, value: { reason: "change", value } });
const heartbeat = (value: number) => ({ done: false, value: { reason: "heartbeat", value } });
const end = { done: true, value: undefined };

Deno.test("follow: the value at once, then each change", async () => {
  const source = new Source();
  const followed = source.follow();
  assert.deepEqual(await followed.next(), initial(1));
  const second = followed.next();
  await settle();
  source.set(2);
  assert.deepEqual(await second, change(2));
  await followed.return();
});

Deno.test("follow: a slow consumer misses what came and went, not the latest value", async () => {
  const source = new Source();
  const followed = source.follow();
  await followed.next();
  source.set(2);
  source.set(3);
  source.set(4);
  assert.deepEqual(await followed.next(), change(4));
  source.set(5);
  source.set(4);
  const next = followed.next();
  await settle();
  source.set(6);
  assert.deepEqual(await next, change(6));
  await followed.return();
});

Deno.test("follow: a heartbeat after silence, whatever rings without news", async () => {
  const source = new Source();
  const followed = source.follow({ heartbeatMs: 1000 });
  await followed.next();
  const beat = followed.next();
  await source.clock.advance(600);
  source.set(1);
  await source.clock.advance(399);
  source.set(1);
  let came = false;
  void beat.then(() => came = true);
  await settle();
  assert(!came);
  await source.clock.advance(1);
  assert.deepEqual(await beat, heartbeat(1));

  const second = followed.next();
  await source.clock.advance(500);
  source.set(2);
  assert.deepEqual(await second, change(2));
  const third = followed.next();
  await source.clock.advance(999);
  assert.equal(source.clock.timers, 1);
  await source.clock.advance(1);
  assert.deepEqual(await third, heartbeat(2));
  await followed.return();
});

Deno.test("follow: the signal ends it and leaves no timer and no listener", async () => {
  const source = new Source();
  const followed = source.follow({ heartbeatMs: 1000 });
  await followed.next();
  const last = followed.next();
  await settle();
  assert.equal(source.clock.timers, 1);
  source.stop.abort();
  assert.deepEqual(await last, end);
  assert.equal(source.clock.timers, 0);
  assert.equal(source.listeners.size, 0);
});

Deno.test("follow: news of the last moment comes before the end", async () => {
  const source = new Source();
  const followed = source.follow();
  await followed.next();
  source.set(2);
  source.stop.abort();
  assert.deepEqual(await followed.next(), change(2));
  assert.deepEqual(await followed.next(), end);
});

Deno.test("follow: with an aborted signal there is still the initial value", async () => {
  const source = new Source();
  source.stop.abort();
  const followed = source.follow();
  assert.deepEqual(await followed.next(), initial(1));
  assert.deepEqual(await followed.next(), end);
});

Deno.test("follow: a consumer that leaves ends the subscription", async () => {
  const source = new Source();
  for await (const { value } of source.follow()) {
    assert.equal(value, 1);
    assert.equal(source.listeners.size, 1);
    break;
  }
  assert.equal(source.listeners.size, 0);
});
