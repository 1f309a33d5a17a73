import assert from "node:assert/strict";
import {
  beginStatement,
  type IsolationLevel,
  type TransactionOptions,
} from "../../../src/database/operation/transaction.ts";

const statements: [TransactionOptions, string][] = [
  [{}, "begin"],
  [{ readOnly: false, deferrable: false, retries: 0 }, "begin"],
  [{ isolation: "read committed" }, "begin isolation level read committed"],
  [{ isolation: "repeatable read", retries: 3 }, "begin isolation level repeatable read"],
  [{ readOnly: true }, "begin read only"],
  [
    { isolation: "serializable", readOnly: true, deferrable: true },
    "begin isolation level serializable read only deferrable",
  ],
];
for (const [options, statement] of statements) {
  Deno.test(`a transaction with ${JSON.stringify(options)} starts with: ${statement}`, () => {
    assert.equal(beginStatement(options), statement);
  });
}

const refused: [TransactionOptions, RegExp][] = [
  [{ deferrable: true }, /deferrable requires/],
  [{ isolation: "serializable", deferrable: true }, /deferrable requires/],
  [{ isolation: "repeatable read", readOnly: true, deferrable: true }, /deferrable requires/],
  [{ isolation: "serializable; drop table account" as IsolationLevel }, /isolation must be one of/],
  [{ retries: -1 }, /retries/],
  [{ retries: 1.5 }, /retries/],
  [{ retries: Infinity }, /retries/],
];
for (const [options, message] of refused) {
  Deno.test(`a transaction with ${JSON.stringify(options)} is refused`, () => {
    assert.throws(() => beginStatement(options), { code: "INVALID_USE", message });
  });
}
