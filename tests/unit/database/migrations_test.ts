import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { readMigrations } from "../../../src/database/migration/migration_files.ts";
import { advisoryLockId } from "../../../src/database/migration/migration_table.ts";

async function withFiles(names: readonly string[], test: (directory: URL) => Promise<void>) {
  const path = await Deno.makeTempDir();
  try {
    for (const name of names) await Deno.writeTextFile(`${path}/${name}`, `-- ${name}`);
    await test(pathToFileURL(path));
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

Deno.test("the lock is golang-migrate's", () => {
  assert.equal(advisoryLockId("public", "treasury"), 2386449009);
});

Deno.test("up files are read in the order of their versions, other files left alone", async () => {
  const names = [
    "000010_ten.up.sql",
    "000002_two.up.sql",
    "000002_two.down.sql",
    "20240101120000_time.up.sql",
    "README.md",
  ];
  await withFiles(names, async (directory) => {
    const migrations = await readMigrations(directory);
    assert.deepEqual(migrations.map(({ version }) => version), [2, 10, 20240101120000]);
    assert.equal(migrations[0]?.script, "-- 000002_two.up.sql");
  });
});

Deno.test("two files with one version are refused", async () => {
  await withFiles(["1_a.up.sql", "000001_b.up.sql"], async (directory) => {
    await assert.rejects(readMigrations(directory), {
      code: "MIGRATION_FAILED",
      message: /version 1: .*_[ab]\.up\.sql and .*_[ab]\.up\.sql/,
    });
  });
});

Deno.test("a folder that is not there is named", async () => {
  const missing = new URL("file:///does/not/exist/");
  await assert.rejects(readMigrations(missing), {
    code: "MIGRATION_FAILED",
    message: /\/does\/not\/exist/,
  });
});

Deno.test("every migration of the service can be undone", async () => {
  const directory = new URL("../../../migrations/", import.meta.url);
  for (const { file } of await readMigrations(directory)) {
    await Deno.stat(new URL(file.replace(".up.sql", ".down.sql"), directory));
  }
});
