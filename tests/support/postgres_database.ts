import postgres from "postgres";
import type { ConnectionInfo } from "../../dev/postgres/server.ts";
import type { DatabaseConfig } from "../../src/config/config.ts";
import { Secret } from "../../src/config/secret.ts";

/** A database on a real PostgreSQL that one test has for itself. */
export abstract class TestDatabase implements AsyncDisposable {
  /** How the service connects. */
  abstract get database(): ConnectionInfo;

  /** Like {@linkcode database}, as a superuser. */
  abstract get superuser(): ConnectionInfo;

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
      [this.database.user],
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
      targetSessionAttrs: "prefer-read-write",
      pooler: "none",
      connectTimeoutMs: 5_000,
      keepAlives: true,
      keepAlivesIdleMs: 60_000,
      maxConnections: 25,
      serviceInstances: 1,
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
      migrator: undefined,
      ...overrides,
    };
  }

  abstract [Symbol.asyncDispose](): Promise<void>;
}
