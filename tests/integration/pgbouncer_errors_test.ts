import assert from "node:assert/strict";
import { type DatabaseConfig, Secret } from "../../src/config/mod.ts";
import { connect, type DatabaseErrorCode } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { pgBouncerTest, startPgBouncer, type TestPgBouncerOptions } from "../support/pgbouncer.ts";
import { startPostgres } from "../support/postgres.ts";

interface Refusal extends TestPgBouncerOptions {
  readonly overrides?: Partial<DatabaseConfig>;
  readonly code: DatabaseErrorCode;
}

/** What PgBouncer refuses when one client is connected already. */
const REFUSALS: Readonly<Record<string, Refusal>> = {
  "a wrong password": {
    overrides: { password: new Secret("wrong-password-of-this-test") },
    code: "AUTHENTICATION_FAILED",
  },
  "a user that it does not know": {
    overrides: { user: "nobody" },
    code: "AUTHENTICATION_FAILED",
  },
  "a database that it does not know": {
    overrides: { database: "missing" },
    code: "DATABASE_NOT_FOUND",
  },
  "one client too many": {
    settings: { max_client_conn: 1 },
    code: "TOO_MANY_CONNECTIONS",
  },
  "a client for whom no session becomes free": {
    settings: { default_pool_size: 1, query_wait_timeout: 1 },
    code: "TOO_MANY_CONNECTIONS",
  },
};

for (const [name, { settings = {}, overrides = {}, code }] of Object.entries(REFUSALS)) {
  pgBouncerTest(`PgBouncer refuses ${name}: ${code}`, async () => {
    await using server = await startPostgres();
    await using bouncer = await startPgBouncer(server, "session", { settings });
    // The connection that looked whether PgBouncer is there can still count.
    await using _first = await eventually(() => connect(bouncer.config()));
    await assert.rejects(connect(bouncer.config({ connectTimeoutMs: 20_000, ...overrides })), {
      code,
    });
  });
}
