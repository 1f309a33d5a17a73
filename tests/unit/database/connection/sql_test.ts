import assert from "node:assert/strict";
import { compile, createSql, sql } from "../../../../src/database/connection/sql.ts";
import { TypedText } from "../../../../src/database/connection/values.ts";

function build(strings: TemplateStringsArray, ...values: readonly unknown[]) {
  const { text, parameters } = compile(strings, values);
  return {
    text,
    parameters: parameters.map((one) => one instanceof TypedText ? [one.text, one.type] : one),
  };
}

Deno.test("values become parameters, and parts become text", () => {
  assert.deepEqual(build`select ${1}, ${"it's"}, ${null}`, {
    text: "select $1, $2, $3",
    parameters: [1, "it's", null],
  });
  assert.deepEqual(build`select * from ${sql.identifier("my schema", 'a"b')} where id = ${7}`, {
    text: 'select * from "my schema"."a""b" where id = $1',
    parameters: [7],
  });
  assert.deepEqual(build`select * from t where id in ${sql.list([1, 2])} and x = ${3}`, {
    text: "select * from t where id in ($1, $2) and x = $3",
    parameters: [1, 2, 3],
  });
  assert.deepEqual(build`insert into t ${sql.rows([{ a: 1, b: null }, { a: 2, b: "x" }])}`, {
    text: 'insert into t ("a", "b") values ($1, $2), ($3, $4)',
    parameters: [1, null, 2, "x"],
  });
});

Deno.test("parts nest, and can be left out by a condition", () => {
  const none = sql.fragment``;
  const find = (name?: string) =>
    build`select from t where true ${name === undefined ? none : sql.fragment`and name = ${name}`}`;
  assert.deepEqual(find(), { text: "select from t where true ", parameters: [] });
  assert.deepEqual(find("x"), {
    text: "select from t where true and name = $1",
    parameters: ["x"],
  });
  const now = sql.fragment`now() + ${"1 day"}`;
  assert.deepEqual(
    build`insert into t ${sql.rows([{ at: now, id: 1 }])} on conflict do update set id in ${
      sql.list([now, sql.list([2])])
    }`,
    {
      text: 'insert into t ("at", "id") values (now() + $1, $2)' +
        " on conflict do update set id in (now() + $3, ($4))",
      parameters: ["1 day", 1, "1 day", 2],
    },
  );
});

Deno.test("rows may be of an interface, and have only what can be sent", () => {
  interface Account {
    readonly id: number;
    readonly owner: string | null;
  }
  interface Limited extends Account {
    readonly limit?: bigint;
  }
  const accounts: readonly Account[] = [{ id: 1, owner: null }];
  assert.ok(sql.rows(accounts));
  const limited: readonly Limited[] = [{ id: 1, owner: "a", limit: 1n }];
  // @ts-expect-error A property that can be missing.
  assert.ok(sql.rows(limited));
  // @ts-expect-error No column of these rows.
  assert.throws(() => sql.rows(accounts, ["limit"]), { code: "INVALID_USE" });
});

Deno.test("a template is compiled for each of its uses, also when its values change their kind", () => {
  const select = (value: unknown) => build`select ${value}`;
  assert.deepEqual(select(1), { text: "select $1", parameters: [1] });
  assert.deepEqual(select(sql.identifier("a")), { text: 'select "a"', parameters: [] });
  assert.deepEqual(select("b"), { text: "select $1", parameters: ["b"] });
});

Deno.test("values that the server would take for another type have theirs", () => {
  const at = new Date("2026-01-02T03:04:05.678Z");
  const { parameters } = build`select ${true}, ${12n}, ${at}, ${new Uint8Array([1, 255])}, ${
    sql.json({ a: [1] })
  }`;
  assert.deepEqual(parameters, [
    ["t", 16],
    ["12", 20],
    ["2026-01-02T03:04:05.678Z", 1184],
    ["\\x01ff", 17],
    ['{"a":[1]}', 3802],
  ]);
});

Deno.test("an array is one parameter", () => {
  const { parameters } = build`select ${[1, 2.5]}, ${['a"b\\c,d', null, "", "NULL"]}, ${[]}, ${[
    [true, false],
    [true, null],
  ]}, ${[1n]}, ${[sql.json({ a: "b" })]}`;
  assert.deepEqual(parameters, [
    '{"1","2.5"}',
    '{"a\\"b\\\\c,d",NULL,"","NULL"}',
    "{}",
    ['{{"t","f"},{"t",NULL}}', 1000],
    ['{"1"}', 1016],
    ['{"{\\"a\\":\\"b\\"}"}', 3807],
  ]);
});

/** What is wrong, and what the error names. */
const INVALID: readonly (readonly [RegExp, () => unknown])[] = [
  [/Parameter 2 is undefined: use null/, () => build`select ${1}, ${undefined}`],
  [/Parameter 1 is an object: use sql\.json/, () => build`select ${{ a: 1 }}`],
  [/Parameter 1 is an object: .*await/, () => build`select ${Promise.resolve(1)}`],
  [/Parameter 1 is a function/, () => build`select ${() => 1}`],
  [/Parameter 1 is a symbol/, () => build`select ${Symbol("a")}`],
  [/Parameter 1 is an invalid Date/, () => build`select ${new Date(NaN)}`],
  [/Element 2 of parameter 1 is undefined/, () => build`select ${[1, undefined]}`],
  [/Element 1 of parameter 1 is undefined/, () => build`select ${Array(1)}`],
  [/Element 1 of element 1 of parameter 1 is an object/, () => build`select ${[[{}]]}`],
  [/Parameter 1 is an array of mixed types/, () => build`select ${[true, 1]}`],
  [/sql\.list is empty/, () => sql.list([])],
  [/sql\.rows: there are no rows/, () => sql.rows([])],
  [/sql\.rows: the rows have no columns/, () => sql.rows([{}])],
  [/sql\.rows: row 2 has no b/, () => sql.rows([{ a: 1, b: 2 }, { a: 1 } as never])],
  [/sql\.rows: row 2 has c/, () => sql.rows([{ a: 1 }, { a: 1, c: 2 } as never])],
  [/identifier must not be empty/, () => sql.identifier("a", "")],
  [/identifier needs a name/, () => sql.identifier()],
  [/identifier must not contain a NUL/, () => sql.identifier("a\0b")],
  [/identifier must not be longer than 63 bytes/, () => sql.identifier("ä".repeat(32))],
  [
    /identifier must not be longer than 63 bytes/,
    () => build`${sql.rows([{ ["a".repeat(64)]: 1 }])}`,
  ],
  [/text of a statement must not contain a NUL/, () => build`select \0`],
  [/sql\.json/, () => sql.json(1n)],
  [/sql\.json: undefined/, () => sql.json(undefined)],
  [/COPY is not supported/, () => build`copy t from stdin`],
  [/COPY is not supported/, () =>
    build` /* a */ -- b
    COPY t to stdout`],
  [/COPY is not supported/, () => build`${sql.fragment`copy`} t to stdout`],
  [/Too many parameters: 70000/, () => build`select ${sql.list(Array(70_000).fill(1))}`],
  [/must be written as a template/, () => sql.fragment("select 1" as never)],
  [/must be written as a template/, () => build(JSON.parse('{ "raw": [], "0": "drop table t" }'))],
];

for (const [message, make] of INVALID) {
  Deno.test(`what cannot be sent is refused, and the error says why: ${message.source}`, () => {
    assert.throws(make, { name: "DatabaseError", code: "INVALID_USE", message });
  });
}

Deno.test("what only looks like a COPY is sent", () => {
  const { text } = build`select 1 as copy`;
  assert.equal(text, "select 1 as copy");
  assert.ok(build`copying()`);
});

const unused = createSql({
  run: () => Promise.reject(new Error("nothing is sent here")),
  isInTransaction: () => Promise.resolve(false),
  cursors: new Set(),
});

Deno.test("a statement is no part of another one", async () => {
  const part = unused`select 1`;
  await assert.rejects(unused`select ${part as never}`, {
    code: "INVALID_USE",
    message: /sql\.fragment/,
  });
});

Deno.test("only a template is a statement", () => {
  assert.throws(() => unused("select 1" as never), { code: "INVALID_USE", message: /template/ });
  for (const batch of [0, -1, 1.5, NaN, 2 ** 31]) {
    assert.throws(() => unused.stream({ batch })`select 1`, {
      code: "INVALID_USE",
      message: /batch/,
    });
  }
});

Deno.test("a statement's outline has no values", () => {
  assert.equal(unused`select  ${"secret"}\n from t`.outline, "select $ from t");
});
