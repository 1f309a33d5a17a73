import assert from "node:assert/strict";
import { join } from "node:path";
import { eventually } from "../support/condition.ts";
import { statusOf } from "../support/health_client.ts";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { startManager, untilState } from "../support/database_support.ts";
import { createDatabase, startPostgres } from "../support/postgres.ts";
import { startServer } from "../support/server.ts";
import { databaseEnv, type ServiceUnderTest, startService } from "../support/service.ts";

/** Makes the service log a text that a client made up. */
async function logged(service: ServiceUnderTest, text: string): Promise<string> {
  const requests = () => service.logs.filter(({ event }) => event === "request");
  const count = requests().length;
  await statusOf(`${service.url}/prefix-${text}`);
  await eventually(() => requests().length > count, { what: "the request is logged" });
  return String(requests().at(-1)!.method);
}

Deno.test("a password is hidden in the log from its rotation on, and the old one is too", async () => {
  await using server = await startPostgres();
  const secrets = await Deno.makeTempDir({ prefix: "treasury-secrets-" });
  try {
    const file = join(secrets, "password");
    const { DB_PASSWORD: oldPassword = "", ...env } = databaseEnv(server);
    await Deno.writeTextFile(file, `${oldPassword}\n`);
    await using service = await startService({ env: { ...env, DB_PASSWORD_FILE: file }, secrets });
    await service.logged("database.connected");
    assert.equal(await logged(service, oldPassword), "/prefix-[redacted]");

    const rotated = "rotated-hunter2";
    assert.equal(await logged(service, rotated), `/prefix-${rotated}`, "not known yet");
    await Deno.writeTextFile(file, `${rotated}\n`);
    await server.admin(`alter role ${server.database.user} password '${rotated}'`);
    await server.stop();
    await server.start();
    await service.logged("database.recovered");
    assert.equal(await logged(service, rotated), "/prefix-[redacted]");
    assert.equal(await logged(service, oldPassword), "/prefix-[redacted]");
  } finally {
    await Deno.remove(secrets, { recursive: true });
  }
});

Deno.test("the log says which settings are in use and where they come from", async () => {
  await using server = await startPostgres();
  await using service = await startService({
    env: databaseEnv(server),
    envFile: "DB_MAX_CONNECTIONS=7\n",
  });
  const { settings, tracing } = await service.logged("config.loaded");
  const { DB_PORT, DB_PASSWORD, DB_MAX_CONNECTIONS } = settings as Record<string, unknown>;
  assert.deepEqual(DB_PORT, { value: String(server.database.port), from: "DB_PORT" });
  assert.deepEqual(DB_PASSWORD, { value: "[redacted]", from: "DB_PASSWORD" });
  assert.deepEqual(DB_MAX_CONNECTIONS, { value: "7", from: "DB_MAX_CONNECTIONS in .env" });
  assert.equal(tracing, false);
});

Deno.test("a failed query is logged without the values of its parameters and rows", async () => {
  await using postgres = await createDatabase();
  await using manager = startManager(postgres);
  const { database } = manager;
  await using server = await startServer({}, (router) =>
    router.service(Health, {
      getHealth: async ({ dependency: value }) => {
        if (value.endsWith("1")) await database.query`select ${value}::text::int`;
        await database.query`insert into account values (${value})`;
        return {};
      },
    }));
  await untilState(database, "connected");
  await database.query`create table account (name text primary key)`;
  await database.query`insert into account values ('hunter2')`;
  for (const value of ['say "hunter1', "hunter2"]) {
    const response = await fetch(new URL("/treasury.v1.Health/GetHealth", server.url), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ dependency: value }),
    });
    assert.ok(!response.ok);
    assert.doesNotMatch(await response.text(), /hunter/);
  }
  const failures = server.logs.filter(({ event }) => event === "rpc.failed");
  assert.deepEqual(failures.map(({ reason }) => reason), ["QUERY_FAILED", "UNIQUE_VIOLATION"]);
  assert.match(JSON.stringify(failures[0]), /invalid input syntax for type integer/);
  assert.doesNotMatch(JSON.stringify(server.logs), /hunter/);
});
