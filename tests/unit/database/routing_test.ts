import assert from "node:assert/strict";
import { DatabaseError } from "../../../src/database/errors.ts";
import type { Availability } from "../../../src/database/managed_pool/managed_pool.ts";
import { accessModeOf, route } from "../../../src/database/managed_pool/routing.ts";

const refused = new DatabaseError("CONNECTION_REFUSED");
const dirty = new DatabaseError("MIGRATION_DIRTY");

function pool(
  state: Availability["state"],
  isWritable: boolean,
  reasons: Partial<Pick<Availability, "outage" | "writesBlockedBy">> = {},
): { readonly availability: Availability } {
  const { outage, writesBlockedBy } = reasons;
  const isUsable = state === "connected";
  return { availability: { state, isUsable, isWritable, writesBlockedBy, outage } };
}

const writable = pool("connected", true);
const readOnly = pool("connected", false);
const blocked = pool("connected", false, { writesBlockedBy: dirty });
const connecting = pool("connecting", false);
const down = pool("disconnected", true, { outage: refused });

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

Deno.test("while writes are blocked, what may write is refused, whatever the server takes", () => {
  for (const access of ["write", undefined] as const) {
    assert.throws(() => route(access, blocked), { code: "READ_ONLY", cause: dirty });
  }
  assert.equal(route("read", blocked), blocked);
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
