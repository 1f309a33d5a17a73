import assert from "node:assert/strict";
import { ensureSchema } from "../../src/database/mod.ts";
import { PostgreSQLChecker } from "../../src/health/mod.ts";
import { AccessMode, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { eventually } from "../support/condition.ts";
import { startManager, untilState } from "../support/database_support.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";

/** A manager that prepares its schema as the service does, on a schema that is dirty. */
async function onDirtySchema(server: TestPostgres, migrateOnStart: boolean) {
  await server.admin("create table schema_migrations (version bigint primary key, dirty bool)");
  await server.admin("alter table schema_migrations owner to treasury_user");
  await server.admin("create table entry (id int); grant all on entry to treasury_user");
  await server.admin("insert into schema_migrations values (1, true)");
  const overrides = { migrateOnStart };
  const ensure = (signal: AbortSignal) => ensureSchema(server.config(overrides), { signal });
  return startManager(server, overrides, { ensureSchema: ensure });
}

for (const migrateOnStart of [true, false]) {
  Deno.test(`a dirty schema is read and not written, migrating on start: ${migrateOnStart}`, async () => {
    await using server = await startPostgres();
    await using test = await onDirtySchema(server, migrateOnStart);
    const { database } = test;
    await untilState(database, "connected");
    assert.equal(database.accessMode, "READ_ONLY");
    assert.equal(database.writesBlockedBy?.code, "MIGRATION_DIRTY");
    assert.deepEqual([...await database.query({ access: "read" })`select * from entry`], []);

    const refused = {
      code: "READ_ONLY",
      message: /the migration to version 1 failed, or is still running/,
    };
    const insert = (access?: "write") => database.query({ access })`insert into entry values (1)`;
    await assert.rejects(insert("write"), refused);
    await assert.rejects(insert(), refused, "undeclared");
    await assert.rejects(database.transaction((tx) => tx`insert into entry values (1)`), refused);

    const health = await new PostgreSQLChecker({ database }).check(AbortSignal.timeout(30_000));
    assert.equal(health.status, ServiceStatus.DEGRADED);
    assert.equal(health.accessMode, AccessMode.READ_ONLY);
    assert.equal(health.errorCode, "MIGRATION_DIRTY");
    assert.equal(health.message, "Database schema is dirty: writes are rejected");
    const told = test.logged.filter(({ event }) => event === "database.read_only");
    assert.deepEqual(told.map(({ code }) => code), ["MIGRATION_DIRTY"]);

    // An operator has repaired it.
    await server.admin("truncate schema_migrations");
    await eventually(() => database.accessMode === "READ_WRITE", {
      what: "writes are taken again",
    });
    await insert("write");
    assert.equal(database.writesBlockedBy, undefined);
    assert.ok(test.events.includes("database.read_write"));
  });
}

Deno.test("a service whose role may not read the version runs, and logs that", async () => {
  await using server = await startPostgres();
  await server.admin("create table schema_migrations (version bigint primary key, dirty bool)");
  const events: unknown[] = [];
  const warn = ({ event }: Readonly<Record<string, unknown>>) => void events.push(event);
  const logger = { info() {}, warn, error() {} };
  assert.equal(await ensureSchema(server.config(), { logger }), undefined);
  assert.deepEqual(events, ["migration.unreadable"]);
});
