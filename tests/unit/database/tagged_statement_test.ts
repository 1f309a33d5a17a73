import assert from "node:assert/strict";
import postgres from "postgres";
import { tagStatements } from "../../../src/database/connection/tagged_statement.ts";

/** Clients of the driver connect with their first statement; none is sent here. */
const driver = postgres({ host: "localhost" });
const sql = tagStatements(driver);

/** What the driver keeps of a statement; functions as `function`, as each has its own. */
function fields(statement: object): Record<string, unknown> {
  const plain = (value: unknown) => typeof value === "function" ? "function" : value;
  return Object.fromEntries(Object.entries(statement).map(([name, value]) => [name, plain(value)]));
}

Deno.test("a tagged statement has every field of the driver's own", () => {
  const write = (tag: postgres.Sql) => tag`select ${1}, ${"two"}`;
  assert.deepEqual(fields(write(sql)), fields(write(driver)));
});

Deno.test("a tagged statement sends and cancels as the driver's own", () => {
  const senders = (tag: postgres.Sql) => {
    const { handler, canceller } = tag`select 1` as unknown as Record<string, unknown>;
    return [handler, canceller];
  };
  assert.deepEqual(senders(sql), senders(driver));
});

Deno.test("the driver takes a tagged statement for its own", () => {
  const Query = Object.getPrototypeOf(driver`select 1`).constructor;
  assert.ok(sql`select 1` instanceof Query);
  assert.ok(sql`select 1` instanceof Promise);
});

Deno.test("all clients have statements of one class", () => {
  const other = tagStatements(postgres({ host: "localhost" }));
  assert.equal(Object.getPrototypeOf(other`select 1`), Object.getPrototypeOf(sql`select 1`));
});

Deno.test("what is no template is a part of a statement, as in the driver", () => {
  assert.deepEqual(sql("account"), driver("account"));
  assert.deepEqual(sql(["a", "b"]), driver(["a", "b"]));
});
