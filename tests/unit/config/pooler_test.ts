import assert from "node:assert/strict";
import { loadConfig } from "../../../src/config/mod.ts";
import { problemsOf } from "./problems_of.ts";

Deno.test("DB_POOLER is one of PgBouncer's modes that can be used, or none", () => {
  for (const pooler of ["none", "session", "transaction"]) {
    assert.equal(loadConfig({ env: { DB_POOLER: pooler } }).database.pooler, pooler);
  }
  assert.equal(problemsOf({ DB_POOLER: "statement" })[0]?.setting, "DB_POOLER");
});

Deno.test("options of a session are refused behind a pooler", () => {
  for (const pooler of ["session", "transaction"]) {
    const [problem] = problemsOf({ DB_POOLER: pooler, DB_OPTIONS: "-c geqo=off" });
    assert.equal(problem?.setting, "DB_OPTIONS");
    assert.match(problem.problem, new RegExp(`DB_POOLER is ${pooler}`));
  }
});

Deno.test("migrations on start are refused behind a pooler", () => {
  for (const pooler of ["session", "transaction"]) {
    const [problem] = problemsOf({ DB_POOLER: pooler, DB_MIGRATE_ON_START: "true" });
    assert.equal(problem?.setting, "DB_MIGRATE_ON_START");
  }
});
