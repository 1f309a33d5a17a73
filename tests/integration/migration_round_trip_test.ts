import assert from "node:assert/strict";
import { migrateDown, migrateTo, migrateUp, readMigrationStatus } from "../../src/database/mod.ts";
import { migrationFolder } from "../support/migration_folder.ts";
import { startPostgres } from "../support/postgres.ts";
import { snapshotSchema } from "../support/schema_snapshot.ts";

Deno.test("each of the service's migrations leads back to where it came from, and up again", async () => {
  await using server = await startPostgres();
  const config = server.config();
  const { versions } = await readMigrationStatus(config);
  assert.ok(versions.length > 0);
  for (const { version, name } of versions) {
    const before = await snapshotSchema(server);
    await migrateTo(config, version);
    const after = await snapshotSchema(server);
    await migrateDown(config, 1);
    assert.deepEqual(await snapshotSchema(server), before, `${name} leaves something behind`);
    await migrateTo(config, version);
    assert.deepEqual(await snapshotSchema(server), after, `${name} is different the second time`);
  }
  const complete = await snapshotSchema(server);
  await migrateDown(config, Infinity);
  await migrateUp(config);
  assert.deepEqual(await snapshotSchema(server), complete);
});

Deno.test("the comparison of schemas sees what a migration can leave behind", async () => {
  const leftovers = [
    "create table t (id int)",
    "create index on base (id)",
    "create view v as select 1",
    "create function f() returns int language sql return 1",
    "create type mood as enum ('good')",
    "create sequence s",
    "alter table base alter column id set default 7",
    "alter table base add check (id > 0)",
    "alter table base enable row level security",
    "grant select on base to public",
    "alter default privileges grant select on tables to public",
    "comment on table base is 'x'",
    "create schema other",
    "create trigger g before update on base for each row execute function suppress_redundant_updates_trigger()",
  ];
  await using server = await startPostgres();
  await using folder = await migrationFolder({ "1_base.up.sql": "create table base (id int)" });
  const config = server.config();
  await migrateUp(config, { directory: folder.url });
  let before = await snapshotSchema(server);
  for (const [index, statement] of leftovers.entries()) {
    folder.write(`${index + 2}_more.up.sql`, statement);
    await migrateUp(config, { directory: folder.url });
    const after = await snapshotSchema(server);
    assert.notDeepEqual(after, before, statement);
    before = after;
  }
});
