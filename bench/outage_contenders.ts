import pg from "pg";
import { loadConfig } from "../src/config/mod.ts";
import { DatabaseManager } from "../src/database/mod.ts";
import type { TestPostgres } from "../tests/support/postgres.ts";

/** A way to run statements over outages. */
export interface Contender extends AsyncDisposable {
  readonly name: string;
  /** Settles in time, whatever the server does. */
  readonly call: () => Promise<unknown>;
}

/** The manager with the default delays, which the tests' configuration shortens. */
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

/** npm:pg's Pool, which asks the server for every call. */
export async function pgPool(server: TestPostgres): Promise<Contender> {
  const pool = new pg.Pool({ ...server.database, connectionTimeoutMillis: 5_000 });
  pool.on("error", () => {}); // A lost idle client would end the process.
  await pool.query("select 1");
  return {
    name: "npm:pg Pool",
    call: () => pool.query("select 1"),
    [Symbol.asyncDispose]: () => pool.end(),
  };
}
