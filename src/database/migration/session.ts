import type { DatabaseConfig } from "../../config/mod.ts";
import { connect } from "../connection/connect.ts";
import type { Sql } from "../connection/sql.ts";
import { requireNoPooler } from "../connection/pooler.ts";
import { type Logger, silentLogger } from "../logger.ts";
import { borrow } from "../operation/operation.ts";
import type { StatementScope } from "../operation/statement_scope.ts";
import { migrationFailed } from "./files.ts";
import { MigrationLock } from "./lock.ts";
import { HistoryTable, VersionTable } from "./tables.ts";

/** golang-migrate's default. */
const LOCK_TIMEOUT_MS = 15_000;

/**
 * Undoes whatever a script has set. The role's timeouts are for requests: a migration may take as
 * long as it needs, unless it sets a limit itself.
 */
const RESET = `
  reset session authorization; reset role; reset all;
  set statement_timeout = 0; set idle_in_transaction_session_timeout = 0;
`;

/** What every function takes that reads or changes the version of a schema. */
export interface MigrationOptions {
  /** Aborting it also cancels the statement that runs on the server. */
  readonly signal?: AbortSignal | undefined;
  /** Folder with the `NNNNNN_title.up.sql` and `.down.sql` files; default: this service's own. */
  readonly directory?: URL | undefined;
  /** Longest wait for another process that migrates the same schema; default: 15 s. */
  readonly lockTimeoutMs?: number | undefined;
  /**
   * Receives the events `migration.waiting`, `.warning`, `.planned`, `.begun`, `.applied`,
   * `.reverted` and `.unreadable`; default: nothing is logged.
   */
  readonly logger?: Logger | undefined;
}

/** The one connection on which a schema is migrated, or its version is read. */
export class MigrationSession {
  /** Runs one statement on the connection. */
  readonly sql: Sql;
  /** Name of the schema that is migrated. */
  readonly schema: string;
  /** `schema_migrations`. */
  readonly versionTable: VersionTable;
  /** `schema_migrations_log`. */
  readonly historyTable: HistoryTable;
  /** Held while the schema is changed. */
  readonly lock: MigrationLock;

  readonly #scope: StatementScope;

  constructor(scope: StatementScope, schema: string, database: string) {
    const { sql } = scope;
    this.#scope = scope;
    this.sql = sql;
    this.schema = schema;
    this.versionTable = new VersionTable(sql, schema);
    this.historyTable = new HistoryTable(sql, schema);
    this.lock = new MigrationLock(sql, schema, database);
  }

  /**
   * Runs the text of a file as a simple query: its statements are one transaction, unless there is
   * only one that cannot run in a transaction.
   *
   * Source: PostgreSQL documentation, "Multiple Statements in a Simple Query".
   */
  async script(text: string): Promise<void> {
    await this.#scope.script(text);
  }

  /** Returns to the settings and roles with which the session began. */
  async reset(): Promise<void> {
    await this.#scope.script(RESET);
  }

  /** Commits when `work` succeeds. When it fails the session ends, and the server rolls back. */
  async transaction(work: () => Promise<void>): Promise<void> {
    await this.sql`begin`;
    await work();
    await this.sql`commit`;
  }
}

/**
 * Opens a connection for `work`, and closes it. On abort the statement that runs is cancelled on the
 * server.
 *
 * @throws {DatabaseError} Connect errors; `MIGRATION_FAILED` when the schema does not exist or the
 * role may not use it; `ABORTED`; and what `work` throws.
 */
export async function withSession<T>(
  config: DatabaseConfig,
  signal: AbortSignal | undefined,
  work: (session: MigrationSession) => Promise<T>,
): Promise<T> {
  await using connection = await connect(config, { signal });
  return await borrow(connection, async (scope) => {
    // Behind a pooler the settings would stay for others; there the version is only read.
    if (config.pooler === "none") await scope.script(RESET);
    const [row] = await scope.sql<{ schema: string | null; database: string }>`
      select current_schema() as schema, current_database() as database
    `;
    if (!row?.schema) {
      const { schema, user } = config;
      throw migrationFailed(
        `The schema "${schema}" does not exist, or the role ${user} has no USAGE privilege on ` +
          "it: create it, grant the privilege, or set DB_SCHEMA to another one",
      );
    }
    return await work(new MigrationSession(scope, row.schema, row.database));
  }, { signal });
}

/**
 * As {@linkcode withSession}, with the migration lock held and the tables in place while `work` runs.
 *
 * @throws {DatabaseError} `MIGRATION_LOCKED` after the lock timeout; `POOLER_MISMATCH` with a `DB_POOLER`,
 * because the lock needs a session of its own; and as {@linkcode withSession}.
 */
export async function withLock<T>(
  config: DatabaseConfig,
  options: MigrationOptions,
  work: (session: MigrationSession) => Promise<T>,
): Promise<T> {
  const { signal = new AbortController().signal, logger = silentLogger } = options;
  const { lockTimeoutMs = LOCK_TIMEOUT_MS } = options;
  const onWait = () =>
    logger.info(
      { event: "migration.waiting" },
      "Waiting for the migration lock: another process is migrating",
    );
  requireNoPooler(config);
  return await withSession(config, signal, async (session) => {
    await session.lock.acquire(lockTimeoutMs, { signal, onWait });
    await session.versionTable.create();
    await session.historyTable.create();
    const result = await work(session);
    // After a failure, the end of the session releases it.
    await session.lock.release();
    return result;
  });
}
