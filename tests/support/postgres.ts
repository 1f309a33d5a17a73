import postgres from "postgres";
import { type ConnectionInfo, EmbeddedServer, type StopMode } from "../../dev/postgres/server.ts";
import type { DatabaseConfig } from "../../src/config/config.ts";
import { Secret } from "../../src/config/secret.ts";
import { clearAbandonedDirectories, TestDirectory } from "./postgres_directory.ts";
import {
  copyTemplateCluster,
  DATABASE,
  SUPERUSER_PASSWORD,
  TEST_SETTINGS,
} from "./postgres_template.ts";

export interface TestPostgresOptions {
  /** Server settings as in postgresql.conf, e.g. `{ max_connections: "20" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Gets each line of the server's log. */
  readonly onLog?: (line: string) => void;
}

/**
 * Starts a fresh PostgreSQL with an empty `treasury_db` on a free port. Disposing it leaves no
 * process and no file behind.
 *
 * ```ts
 * await using server = await startPostgres();
 * const sql = postgres(server.database);
 * ```
 */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  await clearAbandonedDirectories();
  await using cleanup = new AsyncDisposableStack();
  const directory = cleanup.use(await TestDirectory.make());
  await copyTemplateCluster(directory.path);
  const server = cleanup.use(
    new EmbeddedServer({
      directory: directory.path,
      name: directory.serverName,
      password: SUPERUSER_PASSWORD,
      settings: { ...TEST_SETTINGS, ...options.settings },
      ...(options.onLog !== undefined && { onLog: options.onLog }),
    }),
  );
  await server.start();
  return new TestPostgres(server, cleanup.move());
}

/** A real PostgreSQL for one test, and the faults that a test can give it. */
export class TestPostgres implements AsyncDisposable {
  readonly #server: EmbeddedServer;
  readonly #cleanup: AsyncDisposableStack;

  constructor(server: EmbeddedServer, cleanup: AsyncDisposableStack) {
    this.#server = server;
    this.#cleanup = cleanup;
  }

  /** How the service connects. The same over restarts. */
  get database(): ConnectionInfo {
    return { ...this.superuser, ...DATABASE };
  }

  /** Like {@linkcode database}, as `postgres`. */
  get superuser(): ConnectionInfo {
    return { ...this.#server.superuser, database: DATABASE.database };
  }

  /** Of the postmaster; `undefined` while the server is down. */
  get pid(): number | undefined {
    return this.#server.pid;
  }

  /** Starts a stopped or killed server again, on the same port with the same data. */
  async start(): Promise<void> {
    await this.#server.start();
  }

  /** `fast` ends all sessions; `smart` waits for them; `immediate` is a crash with a goodbye. */
  async stop(mode: StopMode = "fast"): Promise<void> {
    await this.#server.stop(mode);
  }

  /** Kills all of the server's processes, as a power cut would. */
  async kill(): Promise<void> {
    await this.#server.kill();
  }

  /** The server keeps its connections and its port, and answers nothing. */
  async freeze(): Promise<void> {
    await this.#server.freeze();
  }

  /** Undoes {@linkcode freeze}. */
  async resume(): Promise<void> {
    await this.#server.resume();
  }

  /**
   * Runs one statement as the superuser, on a connection of its own.
   *
   * ```ts
   * await server.admin("select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", [
   *   server.database.user,
   * ]);
   * ```
   */
  async admin<Row extends Record<string, unknown> = Record<string, unknown>>(
    statement: string,
    parameters: (string | number | boolean | null)[] = [],
  ): Promise<Row[]> {
    const sql = postgres({ ...this.superuser, max: 1, onnotice: () => {} });
    try {
      return [...await sql.unsafe<Row[]>(statement, parameters)];
    } finally {
      await sql.end({ timeout: 5 });
    }
  }

  /** Sessions of the service's user that the server has now. */
  async sessions(): Promise<number> {
    const [row] = await this.admin<{ count: number }>(
      "select count(*)::int as count from pg_stat_activity where usename = $1",
      [DATABASE.user],
    );
    return row!.count;
  }

  /** The specification's defaults for this server, with retries that suit a test's patience. */
  config(overrides: Partial<DatabaseConfig> = {}): DatabaseConfig {
    const { host, port, database, user, password } = this.database;
    return {
      hosts: [{ host, port }],
      readHosts: [],
      database,
      user,
      password: new Secret(password),
      passwordFile: undefined,
      schema: "public",
      tls: { mode: "disable", rootCert: undefined, cert: undefined, key: undefined },
      applicationName: "treasury-test",
      options: undefined,
      targetSessionAttrs: "any",
      connectTimeoutMs: 5_000,
      keepAlives: true,
      keepAlivesIdleMs: 60_000,
      maxConnections: 25,
      maxIdleConnections: 5,
      minIdleConnections: 0,
      maxConnecting: 4,
      connectionMaxLifetimeMs: 3_600_000,
      connectionMaxIdleTimeMs: 900_000,
      acquireTimeoutMs: 5_000,
      acquireQueueLimit: 1_000,
      idleCheckAfterMs: 30_000,
      leakWarningAfterMs: 0,
      pingTimeoutMs: 5_000,
      circuitFailureThreshold: 5,
      retryInitialDelayMs: 20,
      retryMaxDelayMs: 200,
      authRetryDelayMs: 400,
      migrateOnStart: false,
      ...overrides,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}
