import assert from "node:assert/strict";
import { eventually } from "../support/condition.ts";
import { startPostgres } from "../support/postgres.ts";
import { prometheusTest, startPrometheus } from "../support/prometheus.ts";
import { databaseEnv, startService } from "../support/service.ts";

prometheusTest(
  "alerts: the database is stopped, it fires; the database is back, it resolves",
  "prometheus",
  async (path) => {
    await using postgres = await startPostgres();
    await using service = await startService({ env: databaseEnv(postgres) });
    await service.logged("database.connected");
    await using prometheus = await startPrometheus(path, new URL(service.url).host);
    const unreachable = () => prometheus.alerts("TreasuryDatabaseUnreachable");
    await eventually(async () => (await prometheus.query("treasury_database_up == 1")).length > 0, {
      what: "the service has been scraped",
    });
    assert.deepEqual(await unreachable(), []);

    await postgres.stop();
    const alert = await eventually(
      async () => (await unreachable()).find(({ state }) => state === "firing"),
      { what: "the alert fires" },
    );
    assert.equal(alert.labels.severity, "critical");
    assert.match(
      alert.annotations.summary ?? "",
      /^127\.0\.0\.1:\d+ has been disconnected from its database/,
    );

    await postgres.start();
    await eventually(async () => (await unreachable()).length === 0, {
      what: "the alert resolves",
    });
    await eventually(
      async () =>
        (await prometheus.query("treasury_database_recovery_duration_seconds_count == 1")).length,
      { what: "the recovery is counted" },
    );
  },
);

prometheusTest(
  "alerts: a rejected login is told at once, and a dead service too",
  "prometheus",
  async (path) => {
    await using postgres = await startPostgres();
    const env = { ...databaseEnv(postgres), DB_PASSWORD: "wrong", DB_AUTH_RETRY_DELAY: "0.5" };
    await using service = await startService({ env });
    await using prometheus = await startPrometheus(path, new URL(service.url).host);
    const isFiring = async (name: string) =>
      (await prometheus.alerts(name)).some(({ state }) => state === "firing");
    await eventually(() => isFiring("TreasuryAuthenticationFailing"), { what: "it fires" });
    await service.stop();
    await eventually(() => isFiring("TreasuryServiceDown"), { what: "the other fires too" });
  },
);
