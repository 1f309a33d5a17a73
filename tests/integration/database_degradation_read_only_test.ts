import assert from "node:assert/strict";
import type { DatabaseManager } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { startManager } from "../support/database_support.ts";

async function untilMode(database: DatabaseManager, mode: DatabaseManager["accessMode"]) {
  await eventually(() => database.accessMode === mode, { what: `the access mode is ${mode}` });
}

/** Ways in which an operator makes a server read-only, and undoes it. */
const SWITCHES: Readonly<Record<string, (server: TestPostgres, on: boolean) => Promise<void>>> = {
  "the server, at once for every session": async (server, on) => {
    await server.admin(`alter system set default_transaction_read_only = ${on ? "on" : "off"}`);
    await server.admin("select pg_reload_conf()");
  },
  "the role, for new sessions only": async (server, on) => {
    await server.admin(
      `alter role ${server.database.user} ${on ? "set" : "reset"} default_transaction_read_only` +
        (on ? " = on" : ""),
    );
  },
};

for (const [name, setReadOnly] of Object.entries(SWITCHES)) {
  Deno.test(`${name}: the first refused write makes it READ_ONLY, and it returns by itself`, async () => {
    await using server = await startPostgres();
    await using test = startManager(server, { maxIdleConnections: 0 });
    const { database } = test;
    await untilMode(database, "READ_WRITE");
    await database.query`create table account (id int)`;

    await setReadOnly(server, true);
    await eventually(async () => {
      await database.query`insert into account values (1)`.catch(() => {});
      return database.accessMode === "READ_ONLY";
    });
    assert.equal(database.state, "connected", "reads go on");
    await database.query`select * from account`;
    await database.transaction((tx) => tx`select * from account`, { readOnly: true });
    const before = database.poolStats().acquireCount;
    await assert.rejects(database.transaction((tx) => tx`insert into account values (1)`), {
      code: "READ_ONLY",
    });
    await assert.rejects(database.query({ access: "write" })`insert into account values (1)`, {
      code: "READ_ONLY",
    });
    assert.equal(database.poolStats().acquireCount, before, "refused at once");
    await assert.rejects(database.query`insert into account values (1)`, { code: "READ_ONLY" });

    await setReadOnly(server, false);
    await untilMode(database, "READ_WRITE");
    await database.transaction((tx) => tx`insert into account values (1)`);
    assert.ok(test.events.includes("database.read_only"));
    assert.equal(test.events.at(-1), "database.read_write");
  });
}

Deno.test("a caller's own read-only transaction is no news of the database", async () => {
  await using server = await startPostgres();
  await using test = startManager(server);
  const { database } = test;
  await untilMode(database, "READ_WRITE");
  const changes: unknown[] = [];
  database.onStateChange((change) => changes.push(change));
  await assert.rejects(
    database.transaction((tx) => tx`create table x ()`, { readOnly: true }),
    { code: "READ_ONLY" },
  );
  await database.ping();
  await database.query`create table x ()`;
  assert.deepEqual(changes, []);
});

Deno.test("with target_session_attrs read-write, a primary that turns read-only is left", async () => {
  await using server = await startPostgres();
  await using test = startManager(server, {
    targetSessionAttrs: "read-write",
    readHosts: [{ host: server.database.host, port: server.database.port }],
  });
  const { database } = test;
  await untilMode(database, "READ_WRITE");
  const setReadOnly = SWITCHES["the server, at once for every session"]!;
  await setReadOnly(server, true);
  await eventually(async () => {
    await database.ping().catch(() => {});
    return database.outage?.code === "WRONG_SERVER_ROLE";
  }, { what: "the server is noticed to be read-only" });
  assert.equal(database.state, "disconnected");
  await untilMode(database, "READ_ONLY");
  assert.equal((await database.query({ access: "read" })`select 1`).length, 1);

  await setReadOnly(server, false);
  await untilMode(database, "READ_WRITE");
});
