import assert from "node:assert/strict";
import { accessModeOf, type Availability, route } from "../../../src/database/access_mode.ts";
import { DatabaseError } from "../../../src/database/errors.ts";

const refused = new DatabaseError("CONNECTION_REFUSED");
const writable: Availability = { isUsable: true, isWritable: true, outage: undefined };
const readOnly: Availability = { isUsable: true, isWritable: false, outage: undefined };
const connecting: Availability = { isUsable: false, isWritable: false, outage: undefined };
const down: Availability = { isUsable: false, isWritable: true, outage: refused };

const cases = [
  { name: "a primary that takes writes", primary: writable, read: undefined, mode: "READ_WRITE" },
  { name: "a primary that refuses writes", primary: readOnly, read: undefined, mode: "READ_ONLY" },
  { name: "no primary", primary: down, read: undefined, mode: "UNAVAILABLE" },
  { name: "no primary, but a read host", primary: down, read: readOnly, mode: "READ_ONLY" },
  { name: "no server at all", primary: down, read: down, mode: "UNAVAILABLE" },
  {
    name: "both, with a read host that is down",
    primary: writable,
    read: down,
    mode: "READ_WRITE",
  },
] as const;

for (const { name, primary, read, mode } of cases) {
  Deno.test(`${name}: ${mode}`, () => assert.equal(accessModeOf(primary, read), mode));
}

Deno.test("while the primary can be used, everything goes there", () => {
  for (const access of ["read", "write", undefined] as const) {
    assert.equal(route(access, writable, { ...readOnly }), writable);
  }
});

Deno.test("a primary that refuses writes gets no declared write, and judges the undeclared", () => {
  const read = { ...readOnly };
  assert.throws(() => route("write", readOnly, read), { code: "READ_ONLY" });
  assert.equal(route("read", readOnly, read), readOnly);
  assert.equal(route(undefined, readOnly, read), readOnly);
});

Deno.test("without the primary only declared reads go to a read host", () => {
  assert.equal(route("read", down, readOnly), readOnly);
  for (const access of ["write", undefined] as const) {
    assert.throws(() => route(access, down, readOnly), { code: "READ_ONLY", cause: refused });
  }
});

Deno.test("while the primary is looked for at the start, writes wait for it and reads need not", () => {
  assert.equal(route("read", connecting, readOnly), readOnly);
  for (const access of ["write", undefined] as const) {
    assert.equal(route(access, connecting, readOnly), connecting);
  }
});

Deno.test("without any server the primary's circuit says why", () => {
  for (const access of ["read", "write", undefined] as const) {
    assert.equal(route(access, down, { ...down }), down);
    assert.equal(route(access, down), down);
  }
});
