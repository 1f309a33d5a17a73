import assert from "node:assert/strict";
import { checksumOf, nameOf, readMigrations } from "../../../../src/database/migration/files.ts";
import { createMigration } from "../../../../src/database/mod.ts";
import { migrationFolder } from "../../../support/migration_folder.ts";

Deno.test("files are paired, ordered by version, and others ignored", async () => {
  await using folder = await migrationFolder({
    "000010_ten.up.sql": "-- ten",
    "000002_two.up.sql": "-- two",
    "000002_two.down.sql": "-- back",
    "20240101120000_time % stamp.up.sql": "-- time",
    "README.md": "",
    "000003_no_direction.sql": "",
  });
  const migrations = await readMigrations(folder.url);
  assert.deepEqual(migrations.map(({ version }) => version), [2, 10, 20240101120000]);
  assert.deepEqual(migrations[0], {
    version: 2,
    title: "two",
    up: { file: "000002_two.up.sql", text: "-- two" },
    down: { file: "000002_two.down.sql", text: "-- back" },
  });
  assert.equal(migrations[1]?.down, undefined);
  assert.equal(nameOf(migrations[2]!), "20240101120000_time % stamp");
});

// source/parse.go: ^([0-9]+)_(.*)\.(down|up)\.(.*)$
Deno.test("names are golang-migrate's: any digits, any title, any ending", async () => {
  await using folder = await migrationFolder({
    "1_.up.sql": "",
    "0002_a.up.b.down.pgsql": "",
    "x3_a.up.sql": "",
    "4_a.Up.sql": "",
    "5.up.sql": "",
  });
  const found = (await readMigrations(folder.url)).map(({ version, title, up, down }) => {
    return [version, title, up !== undefined, down !== undefined];
  });
  assert.deepEqual(found, [[1, "", true, false], [2, "a.up.b", false, true]]);
});

Deno.test("two files with one version and direction are refused, also with other titles", async () => {
  await using folder = await migrationFolder({ "1_a.up.sql": "", "000001_b.up.sql": "" });
  await assert.rejects(readMigrations(folder.url), {
    code: "MIGRATION_FAILED",
    message: /^000001_b\.up\.sql and 1_a\.up\.sql have the same version 1: renumber/,
  });
});

Deno.test("a version that a number cannot hold exactly is refused", async () => {
  await using folder = await migrationFolder({ "1700000000000000001_nano.up.sql": "" });
  await assert.rejects(readMigrations(folder.url), { message: /1700000000000000001_nano.*large/ });
});

Deno.test("a folder that does not exist is named", async () => {
  await assert.rejects(readMigrations(new URL("file:///does/not/exist/")), {
    code: "MIGRATION_FAILED",
    message: /^Cannot read the migration folder \/does\/not\/exist\/: /,
  });
});

Deno.test("a file that cannot be read is named, with the reason", async () => {
  await using folder = await migrationFolder();
  await Deno.mkdir(new URL("000001_a.up.sql", folder.url));
  await assert.rejects(readMigrations(folder.url), {
    code: "MIGRATION_FAILED",
    message: /^Cannot read the migration file 000001_a\.up\.sql: .*directory/,
  });
});

Deno.test("line endings do not change a checksum, anything else does", () => {
  const checksum = (text: string) => checksumOf({ file: "1_a.up.sql", text });
  assert.equal(checksum("select 1;\r\nselect 2;"), checksum("select 1;\nselect 2;"));
  assert.notEqual(checksum("select 1;"), checksum("select 1; "));
});

Deno.test("a new pair of files has the next version", async () => {
  await using folder = await migrationFolder();
  assert.deepEqual(await createMigration("Add Accounts!", folder.url), [
    "000001_add_accounts.up.sql",
    "000001_add_accounts.down.sql",
  ]);
  folder.write("000041_gone_ahead.up.sql", "");
  assert.deepEqual((await createMigration("next", folder.url))[0], "000042_next.up.sql");
  await assert.rejects(createMigration("?!", folder.url), { message: /no letter or digit/ });
  folder.write("20240101120000_time.up.sql", "");
  await assert.rejects(createMigration("later", folder.url), { message: /too large/ });
});
