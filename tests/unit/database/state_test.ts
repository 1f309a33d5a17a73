import assert from "node:assert/strict";
import { DatabaseError, type DatabaseErrorCode } from "../../../src/database/errors.ts";
import { type DatabaseStatus, StateHolder } from "../../../src/database/state.ts";

function holder() {
  const events: string[] = [];
  const messages: string[] = [];
  const log = (fields: Readonly<Record<string, unknown>>, message: string) => {
    events.push([fields.event, fields.code, fields.downtime_ms].filter(Boolean).join(" "));
    messages.push(message);
  };
  let now = 0;
  const state = new StateHolder({ info: log, warn: log, error: log }, () => now);
  return { state, events, messages, pass: (ms: number) => now += ms };
}

const connected: DatabaseStatus = {
  state: "connected",
  accessMode: "READ_WRITE",
  outage: undefined,
};
const readOnly: DatabaseStatus = { ...connected, accessMode: "READ_ONLY" };
const closing: DatabaseStatus = { state: "closing", accessMode: "UNAVAILABLE", outage: undefined };

function failed(code: DatabaseErrorCode, accessMode: DatabaseStatus["accessMode"] = "UNAVAILABLE") {
  return { state: "disconnected", accessMode, outage: new DatabaseError(code) } as const;
}

Deno.test("an outage is logged when it begins, when its reason changes, and when it ends", () => {
  const { state, events, pass } = holder();
  state.update(failed("CONNECTION_REFUSED"));
  state.update(failed("CONNECTION_REFUSED"));
  state.update(failed("SERVER_STARTING"));
  state.update(connected);
  state.update(connected);
  state.update(failed("CONNECTION_REFUSED"));
  pass(1500);
  state.update(failed("CONNECTION_REFUSED"));
  state.update(connected);
  state.update(closing);
  state.update({ ...closing, state: "closed" });
  assert.deepEqual(events, [
    "database.connect_failed CONNECTION_REFUSED",
    "database.connect_failed SERVER_STARTING",
    "database.connected",
    "database.lost CONNECTION_REFUSED",
    "database.recovered 1500",
    "database.closed",
  ]);
});

Deno.test("what waiting does not repair is logged with what to do", () => {
  const { state, messages } = holder();
  state.update(failed("AUTHENTICATION_FAILED"));
  state.update(connected);
  state.update(failed("DATABASE_NOT_FOUND"));
  assert.match(messages[0]!, /DB_USER and DB_PASSWORD or DB_PASSWORD_FILE.*DB_AUTH_RETRY_DELAY/);
  assert.match(messages[2]!, /check the configuration/);
});

Deno.test("the end of writes and their return are logged, and who is left without reads", () => {
  const { state, events } = holder();
  state.update(connected);
  state.update(readOnly);
  state.update(connected);
  state.update(failed("CONNECTION_REFUSED", "READ_ONLY"));
  state.update(failed("CONNECTION_REFUSED"));
  state.update(failed("CONNECTION_REFUSED", "READ_ONLY"));
  state.update(connected);
  assert.deepEqual(events, [
    "database.connected",
    "database.read_only",
    "database.read_write",
    "database.lost CONNECTION_REFUSED",
    "database.read_only CONNECTION_REFUSED",
    "database.unavailable",
    "database.read_only CONNECTION_REFUSED",
    "database.recovered",
    "database.read_write",
  ]);
});

Deno.test("a read host that is faster than the primary at the start is not logged", () => {
  const { state, events } = holder();
  state.update({ ...readOnly, state: "connecting" });
  state.update(connected);
  assert.deepEqual(events, ["database.connected"]);

  const late = holder();
  late.state.update({ ...readOnly, state: "connecting" });
  late.state.update(failed("CONNECTION_REFUSED", "READ_ONLY"));
  assert.deepEqual(late.events, [
    "database.connect_failed CONNECTION_REFUSED",
    "database.read_only CONNECTION_REFUSED",
  ]);
});

Deno.test("listeners are told of each change, in order, until they unsubscribe", () => {
  const { state } = holder();
  const changes: string[] = [];
  const unsubscribe = state.subscribe((change) =>
    changes.push(
      `${change.previous} ${change.previousAccessMode} > ${change.state} ${change.accessMode} ` +
        change.outage?.code,
    )
  );
  state.update(failed("CONNECTION_REFUSED"));
  state.update(failed("SERVER_STARTING"));
  state.update(connected);
  state.update(readOnly);
  unsubscribe();
  state.update(closing);
  assert.deepEqual(changes, [
    "connecting UNAVAILABLE > disconnected UNAVAILABLE CONNECTION_REFUSED",
    "disconnected UNAVAILABLE > connected READ_WRITE undefined",
    "connected READ_WRITE > connected READ_ONLY undefined",
  ]);
});

Deno.test("a listener that throws stops neither the others nor the change", () => {
  const { state, events } = holder();
  let calls = 0;
  state.subscribe(() => {
    throw new Error("a fault in the listener");
  });
  state.subscribe(() => calls++);
  state.update(connected);
  assert.equal(state.status.state, "connected");
  assert.equal(calls, 1);
  assert.ok(events.includes("database.listener_failed"));
});

Deno.test("the time of the connection is known while there is one", () => {
  const { state } = holder();
  state.update(connected);
  assert.ok(state.connectedAt instanceof Date);
  state.update(failed("CONNECTION_LOST"));
  assert.equal(state.connectedAt, undefined);
});
