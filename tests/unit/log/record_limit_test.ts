import assert from "node:assert/strict";
import { RecordLimit } from "../../../src/log/mod.ts";

const PASSES = { level: "warn", repeats: {} };
const REPEATS = { level: "debug", repeats: {} };

Deno.test("record limit: the first of each kind passes, then one in an interval, with a count", () => {
  let now = 0;
  const limit = new RecordLimit({ intervalMs: 100, now: () => now });
  assert.deepEqual(limit.weigh("a", "warn"), PASSES);
  assert.deepEqual(limit.weigh("b", "warn"), PASSES);
  assert.deepEqual(limit.weigh("a", "warn"), REPEATS);
  now = 99;
  assert.deepEqual(limit.weigh("a", "warn"), REPEATS);
  now = 100;
  assert.deepEqual(limit.weigh("a", "warn"), { level: "warn", repeats: { suppressed: 2 } });
  assert.deepEqual(limit.weigh("a", "warn"), REPEATS);
  now = 1_000;
  assert.deepEqual(limit.weigh("a", "error"), { level: "error", repeats: { suppressed: 1 } });
  assert.deepEqual(limit.weigh("b", "warn"), PASSES);
});
