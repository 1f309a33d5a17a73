import pg from "pg";
import postgres from "postgres";
import { DatabaseManager } from "../src/database/mod.ts";
import type { TestDatabase } from "../tests/support/postgres_database.ts";

/** Runs one statement for a caller. */
export type RunOne = (caller: number) => PromiseLike<unknown>;

/**
 * The statement to run: `select 1`, for which npm:pg uses the simple protocol, or a statement with
 * a parameter, as in a service. postgres.js prepares both.
 */
export type StatementKind = "plain" | "parameter";

/** A way to run statements, with open connections. */
export interface Contender extends AsyncDisposable {
  readonly name: string;
  readonly run: Readonly<Record<StatementKind, RunOne>>;
}

const MAX_CONNECTIONS = 25;

/** The manager: a pool of 25, and a state that is checked before every statement. */
export async function manager(server: TestDatabase): Promise<Contender> {
  const database = new DatabaseManager(
    // The Pool of npm:pg has no limit of idle connections either.
    server.config({ maxConnections: MAX_CONNECTIONS, maxIdleConnections: MAX_CONNECTIONS }),
  );
  database.start();
  await database.ping();
  return {
    name: "manager",
    run: {
      plain: () => database.query`select 1 as one`,
      parameter: (caller) => database.query`select ${caller}::int as one`,
    },
    [Symbol.asyncDispose]: () => database.close(),
  };
}

/** postgres.js with one connection for each caller, without a pool. */
export async function bareDriver(server: TestDatabase, callers: number): Promise<Contender> {
  const clients = Array.from(
    { length: callers },
    () =>
      postgres({
        ...server.database,
        max: 1,
        fetch_types: false,
        idle_timeout: 0,
        max_lifetime: 0,
      }),
  );
  for (const sql of clients) await sql`select 1 as one`;
  return {
    name: "bare driver",
    run: {
      plain: (caller) => clients[caller]!`select 1 as one`,
      parameter: (caller) => clients[caller]!`select ${caller}::int as one`,
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.all(clients.map((sql) => sql.end()));
    },
  };
}

/** The Pool of npm:pg, with 25 connections. */
export async function pgPool(server: TestDatabase): Promise<Contender> {
  const pool = new pg.Pool({ ...server.database, max: MAX_CONNECTIONS, idleTimeoutMillis: 0 });
  await pool.query("select 1 as one");
  return {
    name: "npm:pg Pool",
    run: {
      plain: () => pool.query("select 1 as one"),
      parameter: (caller) => pool.query("select $1::int as one", [caller]),
    },
    [Symbol.asyncDispose]: () => pool.end(),
  };
}
