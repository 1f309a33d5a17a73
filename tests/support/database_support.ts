import postgres from "postgres";
import { DatabaseManager, type DatabaseManagerOptions } from "../../src/database/mod.ts";
import type { DatabaseConfig } from "../../src/config/mod.ts";
import { eventually } from "./condition.ts";
import type { TestDatabase } from "./postgres.ts";

/** A manager under test, and the events that it has logged. */
export interface TestManager extends AsyncDisposable {
  readonly database: DatabaseManager;
  readonly events: readonly string[];
  readonly logged: readonly Readonly<Record<string, unknown>>[];
}

/** Starts a manager; disposing it closes it without patience. */
export function startManager(
  server: TestDatabase,
  overrides: Partial<DatabaseConfig> = {},
  options: DatabaseManagerOptions = {},
): TestManager {
  const logged: Readonly<Record<string, unknown>>[] = [];
  const log = (fields: Readonly<Record<string, unknown>>) => void logged.push(fields);
  const database = new DatabaseManager(server.config(overrides), {
    logger: { info: log, warn: log, error: log },
    ...options,
  });
  database.start();
  return {
    database,
    logged,
    get events() {
      return logged.map(({ event }) => String(event));
    },
    [Symbol.asyncDispose]: () => database.close({ timeoutMs: 0 }),
  };
}

/** Waits for a state of the manager. */
export async function untilState(
  database: DatabaseManager,
  state: DatabaseManager["state"],
): Promise<void> {
  await eventually(() => database.state === state, { what: `the state is ${state}` });
}

/** A manager with one connection, and the table `entry`. */
export async function startWithTable(server: TestDatabase): Promise<TestManager> {
  const test = startManager(server, { maxConnections: 1 });
  await untilState(test.database, "connected");
  await test.database.query`create table entry (id int primary key)`;
  return test;
}

/** Ends sessions of the service's user from the server's side; all of them, or one. */
export async function terminateSessions(server: TestDatabase, pid?: number): Promise<void> {
  await server.admin(
    `select pg_terminate_backend(pid) from pg_stat_activity
      where usename = $1 and ($2::int is null or pid = $2::int)`,
    [server.database.user, pid ?? null],
  );
}

/** Waits until the session runs a statement that contains `text`. */
export async function untilRunning(server: TestDatabase, text: string): Promise<void> {
  await eventually(async () => {
    const rows = await server.admin(
      "select from pg_stat_activity where usename = $1 and state = 'active' and query like $2",
      [server.database.user, `%${text}%`],
    );
    return rows.length > 0;
  }, { what: `${text} runs` });
}

/**
 * Holds the advisory lock 1, so that `select pg_advisory_xact_lock(1)` runs until the test calls
 * `release`.
 */
export async function holdLock(
  server: TestDatabase,
): Promise<AsyncDisposable & { readonly release: () => Promise<void> }> {
  const sql = postgres({ ...server.superuser, max: 1, fetch_types: false });
  const release = () => sql.end({ timeout: 5 });
  try {
    await sql`select pg_advisory_lock(1)`;
  } catch (error) {
    await release();
    throw error;
  }
  return { release, [Symbol.asyncDispose]: release };
}

/** Waits until the server has no session of the service's user. */
export async function untilNoSessions(server: TestDatabase): Promise<void> {
  await eventually(async () => await server.sessions() === 0, { what: "no session is left" });
}

/** How statements have ended; fails instead of waiting for ever for one that has not. */
export async function ends(statements: readonly PromiseLike<unknown>[]) {
  const settled: PromiseSettledResult<unknown>[] = [];
  for (const [index, statement] of statements.entries()) {
    void Promise.allSettled([statement]).then(([end]) => settled[index] = end);
  }
  await eventually(() => Object.keys(settled).length === statements.length, {
    what: "every statement has ended",
  });
  return settled;
}

/** Collects what nobody handled, as the process would be ended by it. */
export function watchUnhandled(): Disposable & { readonly reasons: readonly unknown[] } {
  const reasons: unknown[] = [];
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    reasons.push(event.reason);
  };
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    reasons.push(event.error);
  };
  addEventListener("unhandledrejection", onRejection);
  addEventListener("error", onError);
  return {
    reasons,
    [Symbol.dispose]() {
      removeEventListener("unhandledrejection", onRejection);
      removeEventListener("error", onError);
    },
  };
}

/** Accepts TCP connections on 127.0.0.1 and does with each what `serve` says. */
export function fakeServer(serve: (connection: Deno.Conn) => unknown): Disposable & {
  readonly port: number;
  /** Connections so far. */
  readonly accepted: number;
} {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  void (async () => {
    for await (const connection of listener) {
      connections.push(connection);
      serve(connection);
    }
  })();
  return {
    port: listener.addr.port,
    get accepted() {
      return connections.length;
    },
    [Symbol.dispose]() {
      listener.close();
      for (const connection of connections) {
        try {
          connection.close();
        } catch {
          // It has been closed by `serve`.
        }
      }
    },
  };
}
