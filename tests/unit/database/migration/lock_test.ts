import assert from "node:assert/strict";
import { advisoryLockId } from "../../../../src/database/migration/lock.ts";

Deno.test("the lock's id is golang-migrate's", () => {
  assert.equal(advisoryLockId("public", "treasury"), 2386449009);
  // As pg_locks showed it while golang-migrate 4.20.1 migrated …/treasury_db.
  assert.equal(advisoryLockId("public", "/treasury_db"), 4182173461);
});
