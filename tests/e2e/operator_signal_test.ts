import assert from "node:assert/strict";
import { eventually } from "../support/condition.ts";
import { untilNoSessions } from "../support/database_support.ts";
import { getHealth, statusOf } from "../support/health_client.ts";
import { startPostgres } from "../support/postgres.ts";
import { startReplicationPair } from "../support/replication.ts";
import { testUnless } from "../support/requirement.ts";
import { scrape } from "../support/scrape.ts";
import { databaseEnv, startService } from "../support/service.ts";

const noSignal = Deno.build.os === "windows" ? "needs SIGUSR2, which Windows lacks" : undefined;

testUnless(
  noSignal,
  "SIGUSR2 stops the use of the database, and gives it back when it comes again",
  async () => {
    await using postgres = await startPostgres();
    const env = { ...databaseEnv(postgres), DB_MIN_IDLE_CONNECTIONS: "2" };
    await using service = await startService({ env });
    await service.logged("database.connected");
    assert.equal((await getHealth(service.url)).status, "HEALTHY");

    service.kill("SIGUSR2");
    assert.equal((await service.logged("database.use_stopped")).signal, "SIGUSR2");
    const { msg } = await service.logged("database.lost");
    assert.match(String(msg), /stopped by an operator/);
    // The first answer can be of a check that had begun before.
    await eventually(async () => {
      const { status, message, dependencies: [database] } = await getHealth(service.url);
      assert.equal(status, "UNHEALTHY");
      assert.match(message, /stopped by an operator/);
      assert.equal(database?.error_code, "STOPPED_BY_OPERATOR");
      return true;
    }, { what: "health says who stopped it" });
    assert.equal(await statusOf(`${service.url}/readyz`), 503);
    assert.equal(await statusOf(`${service.url}/livez`), 200, "nobody is to restart it");
    const metrics = await scrape(service.url);
    const step = { pool: "primary", from: "closed", to: "open", reason: "forced" };
    assert.equal(metrics.value("treasury_database_circuit_transitions_total", step), 1);
    await untilNoSessions(postgres);

    service.kill("SIGUSR2");
    await service.logged("database.use_allowed");
    await service.logged("database.recovered");
    await eventually(async () => (await getHealth(service.url)).status === "HEALTHY");
    assert.equal((await service.stop()).code, 0);
  },
);

testUnless(
  noSignal,
  "SIGUSR2 stops the use of the read hosts too",
  async () => {
    await using pair = await startReplicationPair();
    const { host, port } = pair.standby.database;
    const env = { ...databaseEnv(pair.primary), DB_READ_HOSTS: `${host}:${port}` };
    await using service = await startService({ env });
    await service.logged("database.connected");
    const circuitsAre = async (state: string) => {
      const metrics = await scrape(service.url);
      return ["primary", "read"].every((pool) =>
        metrics.value("treasury_database_circuit_state", { pool, state }) === 1
      );
    };
    await eventually(() => circuitsAre("closed"), { what: "both circuits are closed" });

    service.kill("SIGUSR2");
    await service.logged("database.use_stopped");
    assert.ok(await circuitsAre("open"));
    assert.equal((await getHealth(service.url)).status, "UNHEALTHY");
    assert.ok(service.logs.every(({ event }) => event !== "database.read_only"));

    service.kill("SIGUSR2");
    await service.logged("database.use_allowed");
    await eventually(() => circuitsAre("closed"), { what: "both circuits are closed again" });
  },
);
