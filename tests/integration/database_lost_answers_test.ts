import assert from "node:assert/strict";
import type { DatabaseConfig } from "../../src/config/mod.ts";
import { eventually } from "../support/condition.ts";
import { startManager, untilState } from "../support/database_support.ts";
import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres, type TestPostgres } from "../support/postgres.ts";
import { ensureSchema } from "../../src/database/mod.ts";

const IMPATIENT = { maxConnections: 3, pingTimeoutMs: 1_000, connectTimeoutMs: 1_000 };

function at({ database: { host, port } }: TestPostgres): DatabaseConfig["hosts"][number] {
  return { host, port };
}

Deno.test("connections whose answers got lost give their places back when the network returns", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  await using test = startManager(server, { hosts: [proxy.address], ...IMPATIENT });
  const { database } = test;
  await untilState(database, "connected");
  const work = Array.from({ length: 3 }, () => database.query`select pg_sleep(0.5)`);
  const ends = Promise.allSettled(work);
  await eventually(() => database.poolStats().inUse === 3);

  proxy.silence();
  await proxy.setMode("black-hole");
  await eventually(async () => {
    await database.ping().catch(() => {});
    return database.circuit.state !== "closed";
  });
  await proxy.setMode("pass");
  // The sessions are there, and idle: the statements have ended, and nobody will hear of it.
  await untilState(database, "connected");
  await database.query({ timeoutMs: 30_000 })`select 1`;
  for (const end of await ends) {
    assert.equal(end.status === "rejected" && end.reason.code, "COMMIT_UNKNOWN");
  }
});

Deno.test("a look beside a full pool leaves alone what runs on another server of the list", async () => {
  await using first = await startPostgres();
  await using second = await startPostgres();
  await first.stop();
  const hosts = [at(first), at(second)];
  await using test = startManager(first, { hosts, ...IMPATIENT });
  const { database } = test;
  await untilState(database, "connected");
  const work = Array.from(
    { length: 3 },
    () => database.query<{ port: number }>`select pg_sleep(4), inet_server_port() as port`,
  );
  await eventually(() => database.poolStats().inUse === 3);

  await first.start();
  await assert.rejects(database.ping(), { code: "ACQUIRE_TIMEOUT" });
  const ports = (await Promise.all(work)).map(([row]) => row?.port);
  assert.equal(new Set(ports).size, 1);
});

Deno.test("a look at the schema whose answer gets lost does not keep the service from its database", async () => {
  await using server = await startPostgres();
  await using proxy = await FaultProxy.start(server.database);
  using cut = proxy.cut(({ messages }) => {
    if (messages.some(({ sql }) => sql?.includes("current_database() as database"))) {
      proxy.silence();
    }
    return undefined;
  });
  const config = server.config({ hosts: [proxy.address], ...IMPATIENT });
  let looks = 0;
  await using test = startManager(server, config, {
    ensureSchema: (signal) => {
      // Only the first one gets lost.
      if (++looks > 1) cut[Symbol.dispose]();
      return ensureSchema(config, { signal });
    },
  });
  await untilState(test.database, "connected");
  assert.ok(looks > 1);
});
