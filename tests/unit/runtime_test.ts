import assert from "node:assert/strict";
import { FIRST_WITHOUT_LEAK, judgeRuntime, NEWEST_TRIED } from "../../src/runtime.ts";

const KNOWN = {
  leaks: ["1.46.3", "2.7.14", "2.8.3", "2.9.0", "2.9.3", "2.9.3+a1b2c3d"],
  safe: [FIRST_WITHOUT_LEAK, "2.9.5", NEWEST_TRIED],
  untried: [
    newer(NEWEST_TRIED),
    "2.99.0",
    "3.0.0",
    "2.9.4-rc.1",
    `${NEWEST_TRIED}+a1b2c3d`,
    `${newer(NEWEST_TRIED)}-rc.1`,
    "",
    "canary",
  ],
} as const;

/** The next but nine, whose last part is longer in digits: 2.9.6 → 2.9.16. */
function newer(version: string): string {
  return version.replace(/\d+$/, (patch) => String(Number(patch) + 10));
}

for (const [safety, versions] of Object.entries(KNOWN)) {
  for (const version of versions) {
    Deno.test(`Deno "${version}" is judged as: ${safety}`, () => {
      assert.equal(judgeRuntime(version).safety, safety);
    });
  }
}

Deno.test("a version that is safe needs no advice", () => {
  assert.equal(judgeRuntime(NEWEST_TRIED).advice, undefined);
});

Deno.test("what is wrong with another one, and what to do, is said in one line", () => {
  for (const version of ["2.9.3", newer(NEWEST_TRIED)]) {
    const { advice = "" } = judgeRuntime(version);
    assert.ok(advice.includes(`Deno ${version}`), advice);
    assert.ok(advice.includes(`npx -y deno@${NEWEST_TRIED} task start`), advice);
    assert.ok(!advice.includes("\n"), advice);
  }
  const { advice = "" } = judgeRuntime(newer(NEWEST_TRIED));
  assert.ok(advice.includes(`deno task bench:runtime --deno ${newer(NEWEST_TRIED)}`), advice);
});
