import assert from "node:assert/strict";
import postgres from "postgres";
import { type CommandResult, runTask } from "./command.ts";
import type { TestPostgres } from "./postgres.ts";

/** PostgreSQL's `insufficient_privilege`. */
export const FORBIDDEN = { code: "42501" };

/** Settings for `deno task db:init` on a test's server, whose database `postgres` was dropped. */
export function initEnv(server: TestPostgres): Record<string, string> {
  const { host, port, user, password, database } = server.superuser;
  return {
    DB_HOST: host,
    DB_PORT: String(port),
    DB_NAME: "ledger",
    DB_USER: "ledger_service",
    DB_PASSWORD: "service-secret",
    DB_MIGRATION_USER: "ledger_migrator",
    DB_MIGRATION_PASSWORD: "migrator-secret",
    DB_ADMIN_URL: `postgresql://${user}@/${database}`,
    DB_ADMIN_PASSWORD: password,
  };
}

/** Runs `deno task db:init`, which must succeed. */
export async function initDatabase(env: Readonly<Record<string, string>>): Promise<CommandResult> {
  const result = await runTask("db:init", [], { env });
  assert.equal(result.code, 0, result.output);
  return result;
}

/** Who connects: the service, the migrator, or the superuser of a test's server. */
export type Who = "service" | "migrator" | "admin";

/** Lets `work` use one connection to the database of `env`. */
export async function withLogin<T>(
  env: Readonly<Record<string, string>>,
  who: Who,
  work: (sql: postgres.Sql) => Promise<T>,
): Promise<T> {
  const logins = {
    service: { user: env.DB_USER!, password: env.DB_PASSWORD! },
    migrator: { user: env.DB_MIGRATION_USER!, password: env.DB_MIGRATION_PASSWORD! },
    admin: { user: "postgres", password: env.DB_ADMIN_PASSWORD ?? "" },
  };
  const sql = postgres({
    ...logins[who],
    host: env.DB_HOST!,
    port: Number(env.DB_PORT),
    database: env.DB_NAME!,
    connection: { search_path: `"${(env.DB_SCHEMA ?? "public").replaceAll('"', '""')}"` },
    max: 1,
    onnotice: () => {},
  });
  try {
    return await work(sql);
  } finally {
    await sql.end({ timeout: 5 });
  }
}
