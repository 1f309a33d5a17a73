import assert from "node:assert/strict";
import { eventually } from "../support/condition.ts";
import { assertHealthContract } from "../support/health_contract.ts";
import { getHealth, statusOf } from "../support/health_client.ts";
import { startPostgres } from "../support/postgres.ts";
import { databaseEnv, startService } from "../support/service.ts";

Deno.test("on a running database the service is HEALTHY, in the specification's JSON", async () => {
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });

  const health = await getHealth(service.url);
  assertHealthContract(health);
  assert.equal(health.status, "HEALTHY");
  assert.equal(health.dependencies[0]?.config?.port, postgres.database.port);
  assert.equal(await statusOf(`${service.url}/livez`), 200);
  await eventually(async () => await statusOf(`${service.url}/readyz`) === 200);
});

Deno.test("a service that starts without its database becomes HEALTHY when it comes", async () => {
  await using postgres = await startPostgres();
  await postgres.stop();
  await using service = await startService({ env: databaseEnv(postgres) });

  const down = await getHealth(service.url);
  assertHealthContract(down);
  assert.equal(down.status, "UNHEALTHY");
  assert.equal(down.dependencies[0]?.error_code, "CONNECTION_REFUSED");
  assert.equal(await statusOf(`${service.url}/readyz`), 503);
  assert.equal(await statusOf(`${service.url}/livez`), 200);

  await postgres.start();
  await eventually(async () => (await getHealth(service.url)).status === "HEALTHY");
  await eventually(async () => await statusOf(`${service.url}/readyz`) === 200);
});

Deno.test("an outage is told once, and recovered from without a restart", async () => {
  await using postgres = await startPostgres();
  await using service = await startService({ env: databaseEnv(postgres) });
  await service.logged("database.connected");

  await postgres.kill();
  await service.logged("database.lost");
  for (let call = 0; call < 20; call++) {
    assert.equal((await getHealth(service.url)).status, "UNHEALTHY");
  }
  await postgres.start();
  await service.logged("database.recovered");
  await eventually(async () => (await getHealth(service.url)).status === "HEALTHY");

  const events = service.logs.map(({ event }) => event);
  for (const event of ["database.lost", "database.recovered"]) {
    assert.equal(events.filter((one) => one === event).length, 1, event);
  }
  assert.equal(events.includes("bug.unhandled_rejection"), false);
});

Deno.test("DB_MIGRATE_ON_START applies the migrations before the service is ready", async () => {
  await using postgres = await startPostgres();
  const env = { ...databaseEnv(postgres), DB_MIGRATE_ON_START: "true" };
  await using service = await startService({ env });

  await service.logged("database.connected");
  const [row] = await postgres.admin("select version::int, dirty from schema_migrations");
  assert.equal(row?.dirty, false);
  assert.ok(Number(row?.version) >= 1);
});

Deno.test("no password is in anything the service prints or answers", async () => {
  await using postgres = await startPostgres();
  const password = `wrong"pass'word@${crypto.randomUUID()}`;
  const env = { ...databaseEnv(postgres), DB_PASSWORD: password, LOG_LEVEL: "trace" };
  await using service = await startService({ env });

  await service.logged("database.connect_failed");
  const health = JSON.stringify(await getHealth(service.url));
  assert.match(health, /AUTHENTICATION_FAILED/);
  await service.stop();
  const spellings = [password, JSON.stringify(password).slice(1, -1), encodeURIComponent(password)];
  for (const spelling of spellings) {
    assert.equal((service.output() + health).includes(spelling), false);
  }
});
