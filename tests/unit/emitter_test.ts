import assert from "node:assert/strict";
import { Emitter } from "../../src/emitter.ts";

Deno.test("listeners hear every event in the order of their subscriptions, until they unsubscribe", () => {
  const emitter = new Emitter<string>();
  const heard: string[] = [];
  emitter.emit("nobody");
  const stop = emitter.subscribe((event) => heard.push(`first ${event}`));
  emitter.subscribe((event) => heard.push(`second ${event}`));
  emitter.emit("a");
  stop();
  emitter.emit("b");
  assert.deepEqual(heard, ["first a", "second a", "second b"]);
  emitter.clear();
  emitter.emit("c");
  assert.equal(heard.length, 3);
});

Deno.test("one function can be subscribed twice, and each subscription ends alone", () => {
  const emitter = new Emitter<string>();
  const heard: string[] = [];
  const listener = (event: string) => void heard.push(event);
  const stop = emitter.subscribe(listener);
  emitter.subscribe(listener);
  emitter.emit("twice");
  stop();
  stop();
  emitter.emit("once");
  assert.deepEqual(heard, ["twice", "twice", "once"]);
});

Deno.test("a listener that throws stops neither the others nor the caller", () => {
  const errors: unknown[] = [];
  const emitter = new Emitter<string>((error) => errors.push(error));
  const fault = new Error("a fault of a listener");
  emitter.subscribe(() => {
    throw fault;
  });
  const heard: string[] = [];
  emitter.subscribe((event) => heard.push(event));
  emitter.emit("a");
  emitter.emit("b");
  assert.deepEqual([errors, heard], [[fault, fault], ["a", "b"]]);
});

Deno.test("an error of a listener is an uncaught error without an error handler", async () => {
  const uncaught = Promise.withResolvers<unknown>();
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    uncaught.resolve(event.error);
  };
  addEventListener("error", onError);
  try {
    const emitter = new Emitter<string>();
    const fault = new Error("a fault of a listener");
    emitter.subscribe(() => {
      throw fault;
    });
    emitter.emit("a");
    assert.equal(await uncaught.promise, fault);
  } finally {
    removeEventListener("error", onError);
  }
});

Deno.test("an event goes to those who were subscribed when it was emitted", () => {
  const emitter = new Emitter<string>();
  const heard: string[] = [];
  let stopSecond = () => {};
  const stopFirst = emitter.subscribe((event) => {
    heard.push(`first ${event}`);
    stopFirst();
    stopSecond();
    emitter.subscribe((event) => heard.push(`late ${event}`));
  });
  stopSecond = emitter.subscribe((event) => heard.push(`second ${event}`));
  emitter.emit("a");
  emitter.emit("b");
  assert.deepEqual(heard, ["first a", "second a", "late b"]);
});

Deno.test("all hear of an event before they hear of what a listener emitted because of it", () => {
  const emitter = new Emitter<number>();
  const heard: string[] = [];
  emitter.subscribe((event) => {
    heard.push(`first ${event}`);
    if (event < 3) emitter.emit(event + 1);
  });
  emitter.subscribe((event) => heard.push(`second ${event}`));
  emitter.emit(1);
  assert.deepEqual(heard, ["first 1", "second 1", "first 2", "second 2", "first 3", "second 3"]);
});
