import assert from "node:assert/strict";
import { ConfigSource } from "../../../src/config/mod.ts";

Deno.test("settings in use: what was set, by the place that wins, without secrets", () => {
  const file = "DB_PORT=5433\nDATABASE_URL=postgresql://me:hunter2@db.internal/treasury\n";
  const inUse = new ConfigSource({
    env: { DB_NAME: "ledger", DB_MAX_CONNECTIONS: "", PGAPPNAME: "me@home", DB_PORT: "5434" },
    envFile: ".env",
    readTextFile: () => file,
  }).settingsInUse();
  assert.deepEqual(inUse, {
    DATABASE_URL: { value: "[redacted]", from: "DATABASE_URL in .env" },
    DB_HOST: { value: "db.internal", from: "DATABASE_URL in .env" },
    DB_PORT: { value: "5434", from: "DB_PORT" },
    DB_NAME: { value: "ledger", from: "DB_NAME" },
    DB_USER: { value: "me", from: "DATABASE_URL in .env" },
    DB_PASSWORD: { value: "[redacted]", from: "DATABASE_URL in .env" },
    DB_APPLICATION_NAME: { value: "[redacted]", from: "PGAPPNAME" },
  });
});

Deno.test("settings in use: nothing is set", () => {
  assert.deepEqual(new ConfigSource({ env: {} }).settingsInUse(), {});
});
