import pg from "pg";
import { loadConfig } from "../src/config/mod.ts";
import { DatabaseManager } from "../src/database/mod.ts";
import type { TestPostgres } from "../tests/support/postgres.ts";

/** A way to run statements during outages. */
export interface Contender extends AsyncDisposable {
  readonly name: string;
  /** Settles in time, whatever the server does. */
  readonly call: () => Promise<unknown>;
}

/** The manager with its default delays, which the configuration of the tests shortens. */
export async function manager(
  server: TestPostgres,
): Promise<Contender & { readonly database: DatabaseManager }> {
  const { retryInitialDelayMs, retryMaxDelayMs } = loadConfig({ env: {} }).database;
  const database = new DatabaseManager(server.config({ retryInitialDelayMs, retryMaxDelayMs }));
  database.start();
  await database.ping();
  return {
    name: "manager",
    database,
    call: () => database.query`select 1`,
    [Symbol.asyncDispose]: () => database.close({ timeoutMs: 0 }),
  };
}

/** The Pool of npm:pg, which contacts the server for every call. */
export async function pgPool(server: TestPostgres): Promise<Contender> {
  const pool = new pg.Pool({ ...server.database, connectionTimeoutMillis: 5_000 });
  pool.on("error", () => {}); // Otherwise losing an idle client would end the process.
  await pool.query("select 1");
  return {
    name: "npm:pg Pool",
    call: () => pool.query("select 1"),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}
