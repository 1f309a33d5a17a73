import assert from "node:assert/strict";
import { AnySignal } from "../../../src/health/any_signal.ts";

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
