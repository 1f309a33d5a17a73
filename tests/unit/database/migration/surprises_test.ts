import assert from "node:assert/strict";
import { checksumOf, type Migration } from "../../../../src/database/migration/migration_files.ts";
import { type LogEntry, reconcile } from "../../../../src/database/migration/migration_log.ts";
import { findSurprises } from "../../../../src/database/migration/surprises.ts";

function migration(version: number, text = `-- ${version}`): Migration {
  return { version, title: "t", up: { file: `${version}_t.up.sql`, text } };
}

function entry(version: number): LogEntry {
  const { up } = migration(version);
  const appliedAt = new Date("2026-01-02T03:04:05Z");
  return { version, checksum: checksumOf(up!), appliedAt, appliedBy: "me" };
}

function kinds(files: readonly Migration[], current: number | undefined, log: readonly LogEntry[]) {
  const surprises = findSurprises(files, current, reconcile(log, current, files));
  return surprises.map(({ kind, version }) => `${kind} ${version}`);
}

Deno.test("nothing is surprising about files that are as they were", () => {
  assert.deepEqual(kinds([1, 2, 3].map((v) => migration(v)), 2, [entry(1), entry(2)]), []);
  assert.deepEqual(kinds([], undefined, []), []);
});

Deno.test("a number that was left out is a gap, a time is not", () => {
  assert.deepEqual(kinds([migration(1), migration(4)], undefined, []), ["gap 4"]);
  assert.deepEqual(
    kinds([20240101000000, 20240202000000].map((v) => migration(v)), undefined, []),
    [],
  );
});

Deno.test("a file that came too late is told, one that golang-migrate has applied is not", () => {
  const files = [1, 2, 3].map((v) => migration(v));
  assert.deepEqual(kinds(files, 3, [entry(1), entry(3)]), ["late 2"]);
  assert.deepEqual(kinds(files, 3, [entry(1)]), []);
  assert.deepEqual(kinds(files, 3, []), []);
});

Deno.test("a file that is gone, or has changed, is told", () => {
  const log = [entry(1), entry(2)];
  assert.deepEqual(kinds([migration(2)], 2, log), ["missing 1"]);
  assert.deepEqual(kinds([migration(1, "other"), migration(2)], 2, log), ["changed 1"]);
  assert.deepEqual(kinds([migration(1)], 2, log), ["missing 2"]);
  assert.deepEqual(kinds([migration(1)], 2, [entry(1)]), ["missing 2"], "golang-migrate's force");
});

Deno.test("what golang-migrate has reverted is forgotten", () => {
  assert.deepEqual(kinds([migration(1)], 1, [entry(1), entry(2)]), []);
  assert.deepEqual(reconcile([entry(1)], undefined, [migration(1)]), []);
});
