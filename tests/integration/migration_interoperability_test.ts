import assert from "node:assert/strict";
import { connect, migrateDown, migrateUp, readMigrationStatus } from "../../src/database/mod.ts";
import { advisoryLockId } from "../../src/database/migration/lock.ts";
import { migrationFolder, TWO_MIGRATIONS } from "../support/migration_folder.ts";
import { startPostgres } from "../support/postgres.ts";

// What golang-migrate 4 does is taken from its database/postgres/postgres.go and migrate.go.

/** golang-migrate's `ensureVersionTable`. */
const ENSURE_TABLE =
  "create table if not exists public.schema_migrations (version bigint not null primary key, dirty boolean not null)";

/** golang-migrate's `SetVersion`. */
const setVersion = (version: number, dirty: boolean) =>
  `truncate public.schema_migrations; insert into public.schema_migrations values (${version}, ${dirty})`;

Deno.test("the table is golang-migrate's, column by column", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder(TWO_MIGRATIONS);
  await server.admin("create schema theirs");
  await server.admin(ENSURE_TABLE.replace("public", "theirs"));
  await migrateUp(server.config(), { directory: folder.url });
  const columns = (schema: string) =>
    server.admin(
      `select attname, format_type(atttypid, atttypmod) as type, attnotnull,
          attnum = any (indkey) as is_key
        from pg_attribute join pg_index on indrelid = attrelid and indisprimary
        where attrelid = ($1 || '.schema_migrations')::regclass and attnum > 0 order by attnum`,
      [schema],
    );
  const ours = await columns("public");
  assert.equal(ours.length, 2);
  assert.deepEqual(ours, await columns("theirs"));
});

Deno.test("while a script runs the row is dirty, with the version that it leads to", async () => {
  await using server = await startPostgres();
  const copy = (step: string) =>
    `insert into seen select '${step}', version, dirty from schema_migrations;`;
  await using folder = await migrationFolder({
    "1_a.up.sql": copy("1 up"),
    "1_a.down.sql": copy("1 down"),
    "2_b.up.sql": copy("2 up"),
    "2_b.down.sql": copy("2 down"),
  });
  await server.admin("create table seen (step text, version int, dirty bool)");
  await server.admin("grant insert on seen to public");
  const options = { directory: folder.url };
  await migrateUp(server.config(), options);
  await migrateDown(server.config(), Infinity, options);
  assert.deepEqual(await server.admin("select * from seen"), [
    { step: "1 up", version: 1, dirty: true },
    { step: "2 up", version: 2, dirty: true },
    { step: "2 down", version: 1, dirty: true },
    { step: "1 down", version: -1, dirty: true },
  ]);
  assert.deepEqual(await server.admin("select from schema_migrations"), []);
});

Deno.test("both of golang-migrate's keys are held while a script runs, and none after", async () => {
  await using server = await startPostgres();
  const { database } = server.database;
  await using folder = await migrationFolder({
    "1_a.up.sql": `create table held as select objid::bigint::text as id from pg_locks
      where locktype = 'advisory' and classid = 0 and objsubid = 1 and pid = pg_backend_pid()`,
  });
  await migrateUp(server.config(), { directory: folder.url });
  const held = await server.admin<{ id: string }>("select id from held");
  assert.deepEqual(
    held.map(({ id }) => Number(id)).sort(),
    // Of its library, and of its command line.
    [advisoryLockId("public", database), advisoryLockId("public", `/${database}`)].sort(),
  );
  assert.deepEqual(await server.admin("select from pg_locks where locktype = 'advisory'"), []);
});

Deno.test("whoever holds one of its keys is waited for", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder(TWO_MIGRATIONS);
  const { database } = server.database;
  for (const name of [database, `/${database}`]) {
    await using other = await connect(server.config());
    await other.sql`select pg_advisory_lock(${advisoryLockId("public", name)}::bigint)`;
    const waits = Promise.withResolvers<void>();
    const info = ({ event }: Readonly<Record<string, unknown>>) => {
      if (event === "migration.waiting") waits.resolve();
    };
    const migration = migrateUp(server.config(), {
      directory: folder.url,
      lockTimeoutMs: 60_000,
      logger: { info, warn() {}, error() {} },
    });
    await Promise.race([waits.promise, migration]);
    assert.deepEqual(
      await server.admin("select from pg_tables where tablename = 'account'"),
      [],
      "nothing has run",
    );
    await other.close();
    assert.deepEqual((await migration).applied, [1, 2]);
    await migrateDown(server.config(), Infinity, { directory: folder.url });
  }
});

Deno.test("one continues where the other has stopped, and there are no warnings", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder({ ...TWO_MIGRATIONS, "3_c.up.sql": "" });
  const options = { directory: folder.url };
  const config = server.config();
  await migrateUp(config, { ...options, limit: 1 });
  // golang-migrate applies the second.
  await server.admin(TWO_MIGRATIONS["000002_note.up.sql"]);
  await server.admin(setVersion(2, false));
  assert.deepEqual((await migrateUp(config, options)).applied, [3]);
  const { versions, warnings } = await readMigrationStatus(config, options);
  assert.deepEqual(warnings, []);
  assert.deepEqual(versions.map(({ state }) => state), ["applied", "applied", "applied"]);
  assert.deepEqual(versions.map(({ appliedBy }) => appliedBy !== undefined), [true, false, true]);

  // It reverts the third, and fails when it reverts the first.
  await server.admin(setVersion(2, false));
  assert.equal((await readMigrationStatus(config, options)).versions[2]?.state, "pending");
  await server.admin(setVersion(-1, true));
  await assert.rejects(migrateUp(config, options), {
    code: "MIGRATION_DIRTY",
    message: /migration to no version failed/,
  });
});

Deno.test("a statement that cannot run in a transaction needs a separate file", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder({
    "1_a.up.sql": "create table account (id int);",
    "2_b.up.sql": "-- As golang-migrate does it.\ncreate index concurrently on account (id);\n",
    "3_c.up.sql": "vacuum account",
    "4_d.up.sql": "-- Nothing to do.",
    "5_e.up.sql": "",
  });
  const options = { directory: folder.url };
  assert.equal((await migrateUp(server.config(), options)).version, 5);
  folder.write("6_f.up.sql", "select 1;\nvacuum account;");
  await assert.rejects(migrateUp(server.config(), options), {
    code: "MIGRATION_FAILED",
    sqlState: "25001",
    message: /^6_f\.up\.sql failed: VACUUM.*move this one to a file of its own/,
  });
});

Deno.test("what a script sets ends with it, and the role's limits are not its own", async () => {
  await using server = await startPostgres();
  // Long enough for a slow machine to connect in.
  await server.admin("alter role treasury_user set statement_timeout = '1s'");
  await using folder = await migrationFolder({
    "1_a.up.sql": "select pg_sleep(1.1); set search_path to pg_catalog; set role pg_monitor;",
    "2_b.up.sql": "create table here (id int);",
  });
  await server.admin("grant pg_monitor to treasury_user");
  const result = await migrateUp(server.config(), { directory: folder.url });
  assert.deepEqual(result.applied, [1, 2]);
  assert.equal((await server.admin("select from public.here")).length, 0);
});
