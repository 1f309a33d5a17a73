import assert from "node:assert/strict";
import { DatabaseError } from "../../../src/database/errors.ts";
import { StateHolder } from "../../../src/database/state.ts";

function holder() {
  const events: string[] = [];
  const log = (fields: Readonly<Record<string, unknown>>) => {
    events.push([fields.event, fields.code, fields.downtimeMs].filter(Boolean).join(" "));
  };
  let now = 0;
  const state = new StateHolder({ info: log, warn: log, error: log }, () => now);
  return { state, events, pass: (ms: number) => now += ms };
}

const refused = () => new DatabaseError("CONNECTION_REFUSED");

Deno.test("an outage is logged when it begins, when its reason changes, and when it ends", () => {
  const { state, events, pass } = holder();
  state.failed(refused());
  state.failed(refused());
  state.failed(new DatabaseError("SERVER_STARTING"));
  state.connected();
  state.connected();
  state.failed(refused());
  pass(1500);
  state.failed(refused());
  state.connected();
  state.closing();
  state.closed();
  assert.deepEqual(events, [
    "database.connect_failed CONNECTION_REFUSED",
    "database.connect_failed SERVER_STARTING",
    "database.connected",
    "database.lost CONNECTION_REFUSED",
    "database.recovered 1500",
    "database.closed",
  ]);
});

Deno.test("listeners are told of each change, in order, until they unsubscribe", () => {
  const { state } = holder();
  const changes: string[] = [];
  const listener = () => changes.push(`${state.state} ${state.error?.code}`);
  const unsubscribe = state.subscribe(listener);
  state.failed(refused());
  state.failed(new DatabaseError("SERVER_STARTING"));
  state.connected();
  unsubscribe();
  state.closing();
  assert.deepEqual(changes, ["disconnected CONNECTION_REFUSED", "connected undefined"]);
});

Deno.test("a listener that throws stops neither the others nor the change", () => {
  const { state, events } = holder();
  let calls = 0;
  state.subscribe(() => {
    throw new Error("a fault in the listener");
  });
  state.subscribe(() => calls++);
  state.connected();
  assert.equal(state.state, "connected");
  assert.equal(calls, 1);
  assert.ok(events.includes("database.listener_failed"));
});

Deno.test("nothing brings a closed manager back", () => {
  const { state } = holder();
  state.closing();
  state.connected();
  state.failed(refused());
  assert.equal(state.state, "closing");
  state.closed();
  state.connected();
  assert.equal(state.state, "closed");
});
