import assert from "node:assert/strict";
import { connect, dropSchema, migrateUp, readSchemaVersion } from "../../src/database/mod.ts";
import { silentLogger } from "../../src/database/logger.ts";
import { advisoryLockId } from "../../src/database/migration/lock.ts";
import { migrationFolder, TWO_MIGRATIONS } from "../support/migration_folder.ts";
import { startPostgres } from "../support/postgres.ts";
import { startManager, untilState } from "../support/database_support.ts";

Deno.test("the service's own migrations apply as the owner of the database, once", async () => {
  await using server = await startPostgres();
  await server.admin("grant create on schema public to public");
  assert.equal(await readSchemaVersion(server.config()), undefined);

  const { version, applied } = await migrateUp(server.config());
  assert.ok(applied.length > 0);
  assert.equal(version, applied.at(-1));
  assert.deepEqual(await migrateUp(server.config()), { version, applied: [], reverted: [] });
  assert.deepEqual(await readSchemaVersion(server.config()), { version, dirty: false });

  const [row] = await server.admin(
    "select has_schema_privilege('public', 'public', 'create') as everyone",
  );
  assert.equal(row?.everyone, false);
  assert.deepEqual(await server.admin("select version::int, dirty from schema_migrations"), [
    { version, dirty: false },
  ]);
});

Deno.test("only what is new is applied, in the configured schema", async () => {
  await using server = await startPostgres();
  await server.admin("create schema ledger authorization treasury_user");
  await using folder = await migrationFolder(TWO_MIGRATIONS);
  const config = server.config({ schema: "ledger" });
  const options = { directory: folder.url };
  assert.deepEqual(await migrateUp(config, options), {
    version: 2,
    applied: [1, 2],
    reverted: [],
  });
  folder.write("000010_last.up.sql", "insert into account values (2, 'two');");
  assert.deepEqual(await migrateUp(config, options), {
    version: 10,
    applied: [10],
    reverted: [],
  });
  assert.deepEqual(await server.admin("select * from ledger.account order by id"), [
    { id: 1, note: null },
    { id: 2, note: "two" },
  ]);
});

Deno.test("only the schema that is named is dropped, whatever the case of its name", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder({
    "1_a.up.sql":
      "create table account (id int); create function one() returns int language sql return 1; create type mood as enum ('good');",
  });
  const options = { directory: folder.url };
  for (const schema of ["ledger", "Ledger", "the Ledger"]) {
    await server.admin(`create schema "${schema}" authorization treasury_user`);
    await migrateUp(server.config({ schema }), options);
  }
  // The function, the type, and three tables with those of the versions.
  assert.equal(await dropSchema(server.config({ schema: "Ledger" })), 5);
  assert.equal(await dropSchema(server.config({ schema: "the Ledger" })), 5);
  const left = await server.admin(
    `select nspname, proname from pg_proc join pg_namespace n on n.oid = pronamespace
      where proname = 'one'`,
  );
  assert.deepEqual(left, [{ nspname: "ledger", proname: "one" }]);
  assert.equal((await readSchemaVersion(server.config({ schema: "ledger" })))?.version, 1);
});

Deno.test("a failing migration marks the schema dirty, and then nothing is applied", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder({
    ...TWO_MIGRATIONS,
    "000002_note.up.sql": "create table half ();\n  select no_such_function();",
  });
  const options = { directory: folder.url };
  await assert.rejects(migrateUp(server.config(), options), {
    code: "MIGRATION_FAILED",
    message:
      /^000002_note\.up\.sql, line 2, column 10, failed: .*no_such_function.*42883.*dirty at version 000002: undo or complete/s,
  });
  assert.deepEqual(await readSchemaVersion(server.config()), { version: 2, dirty: true });
  // A script is one transaction.
  const half = await server.admin("select from pg_tables where tablename = 'half'");
  assert.deepEqual(half, []);
  await assert.rejects(migrateUp(server.config(), options), {
    code: "MIGRATION_DIRTY",
    message: /version 2/,
  });

  folder.write("000002_note.up.sql", TWO_MIGRATIONS["000002_note.up.sql"]);
  await server.admin("update schema_migrations set version = 1, dirty = false");
  assert.deepEqual(await migrateUp(server.config(), options), {
    version: 2,
    applied: [2],
    reverted: [],
  });
});

Deno.test("a script that ran, but whose version cannot be recorded, leaves the schema dirty", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder({
    "1_a.up.sql":
      "create table account (id int); revoke truncate on schema_migrations from current_user;",
  });
  await assert.rejects(migrateUp(server.config(), { directory: folder.url }), {
    code: "MIGRATION_FAILED",
    message:
      /^1_a\.up\.sql has run, but .* not be recorded: .*42501.*dirty at version 000001: run: deno task migrate force 1$/,
  });
  assert.deepEqual(await readSchemaVersion(server.config()), { version: 1, dirty: true });
  assert.equal((await server.admin("select from account")).length, 0);
});

Deno.test("a schema that is newer than the files is left alone", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder(TWO_MIGRATIONS);
  await migrateUp(server.config(), { directory: folder.url });
  await server.admin("update schema_migrations set version = 7");
  await assert.rejects(migrateUp(server.config(), { directory: folder.url }), {
    code: "MIGRATION_FAILED",
    message: /version 7/,
  });
});

Deno.test("processes that migrate at the same time wait for each other", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder(TWO_MIGRATIONS);
  const options = { directory: folder.url };
  const results = await Promise.all(
    Array.from({ length: 5 }, () => migrateUp(server.config(), options)),
  );
  assert.deepEqual(results.map(({ version }) => version), [2, 2, 2, 2, 2]);
  assert.deepEqual(results.flatMap(({ applied }) => applied), [1, 2]);
});

Deno.test("the wait for another process has a limit, and can be aborted", async () => {
  await using server = await startPostgres();
  await using other = await connect(server.config());
  await other.sql`
    select pg_advisory_lock(${advisoryLockId("public", server.database.database)}::bigint)
  `;
  await assert.rejects(migrateUp(server.config(), { lockTimeoutMs: 50 }), {
    code: "MIGRATION_LOCKED",
  });

  const controller = new AbortController();
  const logger = { ...silentLogger, info: () => controller.abort() };
  await assert.rejects(migrateUp(server.config(), { signal: controller.signal, logger }), {
    code: "ABORTED",
  });
});

Deno.test("a schema that does not exist or may not be used is named, with what to do", async () => {
  await using server = await startPostgres();
  const refused = {
    code: "MIGRATION_FAILED",
    message:
      /^The schema "closed" does not exist, or the role treasury_user has no USAGE .*DB_SCHEMA/,
  };
  const config = server.config({ schema: "closed" });
  await assert.rejects(migrateUp(config), refused);
  await server.admin("create schema closed");
  await assert.rejects(migrateUp(config), refused, "without the USAGE privilege");
});

Deno.test("a manager can migrate before it is connected, also when the server comes late", async () => {
  await using server = await startPostgres();
  await server.stop();
  const config = server.config();
  const ensureSchema = async (signal: AbortSignal) => void await migrateUp(config, { signal });
  await using test = startManager(server, {}, { ensureSchema });
  await untilState(test.database, "disconnected");
  await server.start();
  await untilState(test.database, "connected");
  assert.equal((await readSchemaVersion(config))?.dirty, false);
});
