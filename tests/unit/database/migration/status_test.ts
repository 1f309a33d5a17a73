import assert from "node:assert/strict";
import { checksumOf, type Migration } from "../../../../src/database/migration/files.ts";
import { findWarnings } from "../../../../src/database/migration/status.ts";
import { type AppliedMigration, reconcile } from "../../../../src/database/migration/tables.ts";

function migration(version: number, text = `-- ${version}`): Migration {
  return { version, title: "t", up: { file: `${version}_t.up.sql`, text } };
}

function entry(version: number): AppliedMigration {
  const { up } = migration(version);
  const appliedAt = new Date("2026-01-02T03:04:05Z");
  return { version, checksum: checksumOf(up!), appliedAt, appliedBy: "me" };
}

function kinds(
  files: readonly Migration[],
  current: number | undefined,
  history: readonly AppliedMigration[],
) {
  const warnings = findWarnings(files, current, reconcile(history, current, files));
  return warnings.map(({ kind, version }) => `${kind} ${version}`);
}

Deno.test("files that agree with the schema give no warning", () => {
  assert.deepEqual(kinds([1, 2, 3].map((v) => migration(v)), 2, [entry(1), entry(2)]), []);
  assert.deepEqual(kinds([], undefined, []), []);
});

Deno.test("a skipped number is a gap, a skipped timestamp is not", () => {
  assert.deepEqual(kinds([migration(1), migration(4)], undefined, []), ["gap 4"]);
  assert.deepEqual(
    kinds([20240101000000, 20240202000000].map((v) => migration(v)), undefined, []),
    [],
  );
});

Deno.test("a file below the applied version is out of order, unless golang-migrate has applied it", () => {
  const files = [1, 2, 3].map((v) => migration(v));
  assert.deepEqual(kinds(files, 3, [entry(1), entry(3)]), ["out-of-order 2"]);
  assert.deepEqual(kinds(files, 3, [entry(1)]), []);
  assert.deepEqual(kinds(files, 3, []), []);
});

Deno.test("a file that is missing or has changed causes a warning", () => {
  const history = [entry(1), entry(2)];
  assert.deepEqual(kinds([migration(2)], 2, history), ["missing 1"]);
  assert.deepEqual(kinds([migration(1, "other"), migration(2)], 2, history), ["changed 1"]);
  assert.deepEqual(kinds([migration(1)], 2, history), ["missing 2"]);
  assert.deepEqual(kinds([migration(1)], 2, [entry(1)]), ["missing 2"], "golang-migrate's force");
});

Deno.test("what golang-migrate has reverted is not in the history", () => {
  assert.deepEqual(kinds([migration(1)], 1, [entry(1), entry(2)]), []);
  assert.deepEqual(reconcile([entry(1)], undefined, [migration(1)]), []);
});
