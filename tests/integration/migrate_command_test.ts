import assert from "node:assert/strict";
import { migrateCommand } from "../support/migrate_command.ts";
import { migrationFolder, TWO_MIGRATIONS } from "../support/migration_folder.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

/** A server, a folder with two migrations, and the command on them. */
async function setUp(files: Readonly<Record<string, string>> = TWO_MIGRATIONS) {
  await using cleanup = new AsyncDisposableStack();
  const server = cleanup.use(await startPostgres());
  const folder = cleanup.use(await migrationFolder(files));
  const owned = cleanup.move();
  return {
    server,
    folder,
    migrate: (args: string, stdin = "") =>
      migrateCommand(server, args.split(" "), { folder, stdin }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function tables(server: TestPostgres): Promise<string[]> {
  const rows = await server.admin<{ name: string }>(
    "select relname as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'v') order by 1",
  );
  return rows.map(({ name }) => name);
}

Deno.test("up, down and goto move the schema, and say what they do", async () => {
  await using test = await setUp();
  assert.equal((await test.migrate("version")).stdout, "no version\n");

  const first = await test.migrate("up 1");
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^Running 000001_account\.up\.sql \(1 of 1\)\nApplied 000001_.* ms\n/);
  assert.match(first.stdout, /The schema has 000001\n$/);

  const dry = await test.migrate("up --dry-run");
  assert.equal(dry.stdout, "Would run 000002_note.up.sql\nThe schema would have 000002\n");
  assert.equal((await test.migrate("version")).stdout, "000001\n");

  assert.equal((await test.migrate("goto 2")).code, 0);
  assert.match((await test.migrate("up")).stdout, /^Nothing to do\nThe schema has 000002\n$/);
  assert.match((await test.migrate("down 1")).stdout, /Reverted 000002_note\.down\.sql/);
  assert.equal((await test.migrate("version")).stdout, "000001\n");
});

Deno.test("down to nothing, and drop, ask first", async () => {
  await using test = await setUp();
  await test.migrate("up");
  for (const args of ["down", "down --all", "drop"]) {
    const refused = await test.migrate(args, "n\n");
    assert.equal(refused.code, 1);
    assert.match(refused.stdout, /"public" of the database "treasury_db"\? \[y\/N\]/);
    assert.equal((await test.migrate(args)).code, 1, "no answer is a no");
  }
  assert.deepEqual(await tables(test.server), [
    "account",
    "schema_migrations",
    "schema_migrations_log",
  ]);
  const down = await test.migrate("down --all", "y\n");
  assert.equal(down.code, 0, down.stderr);
  assert.equal((await test.migrate("version")).stdout, "no version\n");
  assert.equal((await test.server.admin("select from schema_migrations")).length, 0);

  await test.migrate("up");
  await test.server.admin(
    "create view v as select * from account; create function f() returns int return 1; create type mood as enum ('good'); create sequence s",
  );
  await test.server.admin(
    "alter view v owner to treasury_user; alter function f owner to treasury_user; alter type mood owner to treasury_user; alter sequence s owner to treasury_user",
  );
  const drop = await test.migrate("drop --yes");
  assert.equal(drop.code, 0, drop.stderr);
  assert.deepEqual(await tables(test.server), []);
  const left = await test.server.admin(
    "select oid from pg_proc where pronamespace = 'public'::regnamespace union select oid from pg_type where typnamespace = 'public'::regnamespace",
  );
  assert.deepEqual(left, []);
  assert.equal((await test.migrate("up")).code, 0);
});

Deno.test("a failure names file, line and SQLSTATE, and force ends the dirt", async () => {
  await using test = await setUp({
    ...TWO_MIGRATIONS,
    "000002_note.up.sql": "create table half ();\n\n  selekt 1;",
  });
  const failed = await test.migrate("up");
  assert.equal(failed.code, 1);
  assert.match(
    failed.stderr,
    /^000002_note\.up\.sql, line 3, column 3, failed: .*SQLSTATE 42601.*dirty at version 000002: undo .* force V\n$/,
  );
  const status = await test.migrate("status");
  assert.equal(status.code, 1);
  assert.match(status.stdout, /^000002 +dirty/m);
  assert.match(status.stdout, /^The schema has 000002 and is dirty: repair it/m);
  assert.equal((await test.migrate("version")).stdout, "000002 (dirty)\n");
  for (const args of ["up", "down 1", "goto 1"]) {
    const refused = await test.migrate(args);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /force V/);
  }
  const unknown = await test.migrate("force 7");
  assert.equal(unknown.code, 1);
  assert.equal(
    unknown.stderr,
    'No migration file has version 7: "deno task migrate status" lists those that exist\n',
  );
  assert.equal((await test.migrate("force 1")).code, 0);
  test.folder.write("000002_note.up.sql", TWO_MIGRATIONS["000002_note.up.sql"]);
  assert.equal((await test.migrate("up")).code, 0);
  assert.equal((await test.migrate("force -1")).code, 0);
  assert.equal((await test.migrate("version")).stdout, "no version\n");
});

Deno.test("a failure names the objects that are in the way", async () => {
  await using test = await setUp(TWO_MIGRATIONS);
  await test.migrate("up");
  await test.server.admin("create view one as table account; create view two as table account");
  const failed = await test.migrate("down --all --yes");
  assert.equal(failed.code, 1);
  assert.match(
    failed.stderr,
    /: view one depends on column .*; view two depends on column .* \(SQLSTATE 2BP01\)/,
  );
});

Deno.test("status lists every version, and the warnings", async () => {
  await using test = await setUp();
  await test.migrate("up");
  test.folder.write("000005_more.up.sql", "");
  assert.equal((await test.migrate("status")).code, 1, "a gap");
  test.folder.write("000003_three.up.sql", "");
  test.folder.write("000004_four.up.sql", "");
  const { code, stdout } = await test.migrate("status");
  assert.equal(code, 0);
  assert.match(stdout, /^VERSION +STATE +APPLIED +BY +NAME$/m);
  assert.match(stdout, /^000002 +applied +\d{4}-\d\d-\d\dT\S+Z +treasury_user +000002_note$/m);
  assert.match(stdout, /^000003 +pending +- +- +000003_three$/m);

  await test.migrate("goto 4");
  test.folder.remove("000003_three.up.sql");
  test.folder.write("000002_note.up.sql", "-- not what it was");
  const warned = await test.migrate("status");
  assert.equal(warned.code, 1);
  assert.match(warned.stdout, /^000003 +missing/m);
  assert.match(warned.stdout, /Warning: 000002_note\.up\.sql has changed since/);
  assert.match(
    (await test.migrate("up")).stderr,
    /Warning: Migration 000003 is applied, but its file is missing/,
  );
});

Deno.test("create writes a pair of files, and nothing else may write any", async () => {
  await using test = await setUp();
  const created = await test.migrate("create add-owner");
  assert.equal(created.code, 0, created.stderr);
  assert.deepEqual(
    created.stdout,
    "Created 000003_add_owner.up.sql\nCreated 000003_add_owner.down.sql\n",
  );
  assert.equal(Deno.readTextFileSync(`${test.folder.path}/000003_add_owner.up.sql`), "");
  const { tasks } = JSON.parse(await Deno.readTextFile("deno.json"));
  assert.deepEqual(tasks.migrate.command.match(/--allow-write\S*/g), ["--allow-write=migrations"]);
});

Deno.test("wrong arguments and settings end with 2, and with help", async () => {
  await using test = await setUp();
  for (
    const [args, message] of [
      ["", /Missing command/],
      ["sideways", /Unknown command "sideways"/],
      ["up two", /N must be a whole number/],
      ["up 1 2", /does not take the argument "2"/],
      ["goto", /goto needs an argument/],
      ["goto -1", /V must be/],
      ["up --all", /--all is valid for down/],
      ["down 1 --all", /not both/],
      ["up --nonsense", /nonsense/],
      ["up --lock-timeout=soon", /--lock-timeout/],
    ] as const
  ) {
    const { code, stderr } = await migrateCommand(test.server, args.split(" ").filter(Boolean));
    assert.equal(code, 2, args);
    assert.match(stderr, message);
  }
  const help = await migrateCommand(test.server, ["--help"]);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^Usage: deno task migrate/);
  const env = { DB_PORT: "many" };
  assert.equal((await migrateCommand(test.server, ["version"], { env })).code, 2);
});
