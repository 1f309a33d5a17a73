import assert from "node:assert/strict";
import type { Migration } from "../../../../src/database/migration/files.ts";
import { type Plan, planDown, planGoto, planUp } from "../../../../src/database/migration/plan.ts";

const FILES = [1, 2, 5].map((version): Migration => ({
  version,
  title: "t",
  up: { file: `${version}.up`, text: "" },
  down: { file: `${version}.down`, text: "" },
}));

/** The files that a plan runs, each with the version that it leads to. */
function run(plan: Plan, current: number | undefined, files = FILES): string[] {
  return plan(current, files).map(({ script, target }) => `${script.file} > ${target}`);
}

Deno.test("up applies what is newer, as many as wanted", () => {
  assert.deepEqual(run(planUp(), undefined), ["1.up > 1", "2.up > 2", "5.up > 5"]);
  assert.deepEqual(run(planUp(1), 1), ["2.up > 2"]);
  assert.deepEqual(run(planUp(9), 5), []);
  assert.deepEqual(run(planUp(0), 1), []);
});

Deno.test("down reverts the last ones, and each leads to the version below", () => {
  assert.deepEqual(run(planDown(), 5), ["5.down > 2", "2.down > 1", "1.down > undefined"]);
  assert.deepEqual(run(planDown(1), 2), ["2.down > 1"]);
  assert.deepEqual(run(planDown(), undefined), []);
});

Deno.test("goto goes either way, and only to a version that there is", () => {
  assert.deepEqual(run(planGoto(5), 1), ["2.up > 2", "5.up > 5"]);
  assert.deepEqual(run(planGoto(1), 5), ["5.down > 2", "2.down > 1"]);
  assert.deepEqual(run(planGoto(2), 2), []);
  assert.throws(() => run(planGoto(3), 2), { code: "MIGRATION_FAILED", message: /version 3/ });
});

Deno.test("a schema whose version has no file is not touched", () => {
  for (const plan of [planUp(), planDown(), planGoto(1)]) {
    assert.throws(() => run(plan, 7), { code: "MIGRATION_FAILED", message: /version 7/ });
  }
});

Deno.test("a missing script is found before anything runs, and only if it is needed", () => {
  const { down: _, ...upOnly } = FILES[0]!;
  const files = [upOnly, ...FILES.slice(1)];
  assert.deepEqual(run(planUp(), undefined, files).length, 3);
  assert.deepEqual(run(planDown(1), 2, files), ["2.down > 1"]);
  assert.throws(() => run(planDown(), 2, files), { message: /000001_t\.down\.sql is missing/ });
});
