import assert from "node:assert/strict";
import { readSchemaVersion } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { untilNoSessions } from "../support/database_support.ts";
import { migrateCommand, resultOf, startMigrateCommand } from "../support/migrate_command.ts";
import { migrationFolder } from "../support/migration_folder.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

const MIGRATIONS = 12;
const ROUNDS = 4;
/** About the time that the migrations take together. */
const LONGEST_LIFE_MS = 1_000;

/** Each notes itself in two statements, so that half of one would be seen. */
const FILES = Object.fromEntries(
  Array.from({ length: MIGRATIONS }, (_, index) => index + 1).map((version) => [
    `${String(version).padStart(6, "0")}_step.up.sql`,
    `${version === 1 ? "create table done (step int, half text);" : ""}
      insert into done values (${version}, 'first'); select pg_sleep(0.05);
      insert into done values (${version}, 'second');`,
  ]),
);

/** Which steps the schema has; each must be whole, once, and in order. */
async function stepsOf(server: TestPostgres): Promise<number> {
  const [table] = await server.admin("select to_regclass('done') is not null as exists");
  if (table?.exists !== true) return 0;
  const rows = await server.admin<{ step: number }>("select step from done order by step, half");
  const steps = rows.length / 2;
  const expected = Array.from({ length: steps }, (_, index) => [index + 1, index + 1]).flat();
  assert.deepEqual(rows.map(({ step }) => step), expected);
  return steps;
}

/** Somebody has the lock, or has been so fast that all is done. */
async function isMigrating(server: TestPostgres): Promise<boolean> {
  const locks = await server.admin("select from pg_locks where locktype = 'advisory'");
  return locks.length > 0 || await stepsOf(server).catch(() => 0) === MIGRATIONS;
}

/** A schema is as its version says, or it is marked dirty, at most one step ahead. */
async function assertHonest(server: TestPostgres): Promise<void> {
  const steps = await stepsOf(server);
  const { version = 0, dirty = false } = await readSchemaVersion(server.config()) ?? {};
  if (!dirty) return assert.equal(steps, version, "clean, so it must be right");
  assert.ok(steps === version || steps === version - 1, `${steps} steps, dirty at ${version}`);
  // What an operator does: look, and say what there is.
  await using folder = await migrationFolder(FILES);
  const { code } = await migrateCommand(server, ["force", String(steps || -1)], { folder });
  assert.equal(code, 0);
}

for (const processes of [1, 10]) {
  Deno.test(`kill -9 of ${processes} at a random moment leaves a schema that is right or dirty`, async () => {
    await using server = await startPostgres();
    await using folder = await migrationFolder(FILES);
    for (let round = 0; round < ROUNDS; round++) {
      await migrateCommand(server, ["drop", "--yes"], { folder });
      const children = await Promise.all(
        Array.from({ length: processes }, () => startMigrateCommand(server, ["up"], { folder })),
      );
      const ends = children.map(async (child) => {
        await child.stdin.close();
        return await resultOf(child);
      });
      await eventually(() => isMigrating(server), { what: "a migration has begun" });
      await new Promise((resolve) => setTimeout(resolve, Math.random() * LONGEST_LIFE_MS));
      for (const child of children) {
        try {
          child.kill("SIGKILL");
        } catch (error) {
          if (!(error instanceof TypeError)) throw error; // It has ended already.
        }
      }
      await Promise.all(ends);
      await untilNoSessions(server);
      await assertHonest(server);
    }
    const last = await migrateCommand(server, ["up", "--lock-timeout", "60"], { folder });
    assert.equal(last.code, 0, last.stderr);
    assert.equal(await stepsOf(server), MIGRATIONS);
  });
}
