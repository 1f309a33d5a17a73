import assert from "node:assert/strict";
import { migrateUp, readSchemaVersion } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { terminateSessions, untilNoSessions, untilRunning } from "../support/database_support.ts";
import { migrateCommand, resultOf, startMigrateCommand } from "../support/migrate_command.ts";
import { migrationFolder } from "../support/migration_folder.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const SLOW = {
  "000001_fast.up.sql": "create table fast (id int);",
  "000002_slow.up.sql": "create table slow (id int); select pg_sleep(600);",
};

async function tableExists(server: TestPostgres, name: string): Promise<boolean> {
  return (await server.admin("select from pg_tables where tablename = $1", [name])).length > 0;
}

Deno.test("a connection lost in the middle of a script leaves it dirty, and says so", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder(SLOW);
  const migration = migrateUp(server.config(), { directory: folder.url });
  const outcome = assert.rejects(migration, {
    code: "MIGRATION_FAILED",
    message: /^000002_slow\.up\.sql failed: .*dirty at version 000002: undo or complete/s,
  });
  await untilRunning(server, "pg_sleep(600)");
  await terminateSessions(server);
  await outcome;
  assert.deepEqual(await readSchemaVersion(server.config()), { version: 2, dirty: true });
});

Deno.test("an abort cancels the script on the server, and leaves it dirty", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder(SLOW);
  const controller = new AbortController();
  const { signal } = controller;
  const migration = migrateUp(server.config(), { directory: folder.url, signal });
  const outcome = assert.rejects(migration, {
    code: "ABORTED",
    message: /^000002_slow\.up\.sql was interrupted: .*dirty at version 000002: undo or complete/,
  });
  await untilRunning(server, "pg_sleep(600)");
  controller.abort();
  await outcome;
  await untilNoSessions(server);
  assert.equal(await tableExists(server, "fast"), true);
  assert.equal(await tableExists(server, "slow"), false);
  assert.deepEqual(await readSchemaVersion(server.config()), { version: 2, dirty: true });
});

Deno.test("Ctrl-C ends the command with 130, and it says what it leaves behind", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder(SLOW);
  const child = await startMigrateCommand(server, ["up"], { folder });
  await child.stdin.close();
  const ended = resultOf(child);
  await untilRunning(server, "pg_sleep(600)");
  child.kill("SIGINT");
  const { code, stderr } = await ended;
  assert.equal(code, 130);
  assert.match(stderr, /^000002_slow\.up\.sql was interrupted: Stopped by SIGINT\. .*dirty at/);
  await untilNoSessions(server);
  assert.deepEqual(await readSchemaVersion(server.config()), { version: 2, dirty: true });
});

Deno.test("ten processes at once apply each migration once, also one without a transaction", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder({
    "000001_account.up.sql": "create table account (id int); insert into account values (1);",
    // Waits for every other transaction, hence deadlocks with anybody who waits inside one.
    "000002_index.up.sql": "create index concurrently account_id on account (id);",
    "000003_more.up.sql": "insert into account values (2); select pg_sleep(0.2);",
  });
  const results = await Promise.all(
    Array.from(
      { length: 10 },
      () => migrateCommand(server, ["up", "--lock-timeout", "120"], { folder }),
    ),
  );
  assert.deepEqual(results.map(({ code, stderr }) => `${code}${stderr}`), Array(10).fill("0"));
  const output = results.map(({ stdout }) => stdout).join("");
  assert.equal(output.match(/^Applied /gm)?.length, 3);
  assert.equal((await server.admin("select from account")).length, 2);
  assert.deepEqual(await readSchemaVersion(server.config()), { version: 3, dirty: false });
});

Deno.test("a process that is killed keeps others out until its statement has ended", async () => {
  await using server = await startPostgres();
  await using folder = await migrationFolder({ "000001_a.up.sql": "select pg_sleep(600);" });
  const child = await startMigrateCommand(server, ["up"], { folder });
  await child.stdin.close();
  const ended = resultOf(child);
  await untilRunning(server, "pg_sleep(600)");
  child.kill("SIGKILL");
  await ended;
  const args = ["up", "--lock-timeout", "0"];
  assert.match((await migrateCommand(server, args, { folder })).stderr, /Another process/);
  await terminateSessions(server);
  await eventually(async () => {
    const { stderr } = await migrateCommand(server, args, { folder });
    assert.match(stderr, /schema is dirty/);
    return true;
  });
});
