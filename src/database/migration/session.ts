import type { DatabaseConfig } from "../../config/mod.ts";
import { connect } from "../connection/connect.ts";
import type { Sql } from "../connection/sql.ts";
import { DatabaseError } from "../errors.ts";
import { borrow } from "../operation/operation.ts";
import type { StatementScope } from "../operation/statement_scope.ts";
import { MigrationLock } from "./migration_lock.ts";
import { MigrationLog } from "./migration_log.ts";
import { MigrationTable } from "./migration_table.ts";

/**
 * Back to how the session began, whatever a script has set. The role's limits are meant for
 * requests: a migration takes as long as it takes, unless it sets a limit itself.
 */
const RESET = `
  reset session authorization; reset role; reset all;
  set statement_timeout = 0; set idle_in_transaction_session_timeout = 0;
`;

/** One connection that migrates a schema, or looks at it. */
export class MigrationSession {
  readonly sql: Sql;
  readonly schema: string;
  readonly table: MigrationTable;
  readonly log: MigrationLog;
  readonly lock: MigrationLock;

  readonly #scope: StatementScope;

  private constructor(scope: StatementScope, schema: string, database: string) {
    const { sql } = scope;
    this.#scope = scope;
    this.sql = sql;
    this.schema = schema;
    this.table = new MigrationTable(sql, schema);
    this.log = new MigrationLog(sql, schema);
    this.lock = new MigrationLock(sql, schema, database);
  }

  /**
   * Connects, and lets `work` use the session. On abort, what runs is cancelled on the server.
   *
   * @throws {DatabaseError} Connect errors; `MIGRATION_FAILED` when the schema does not exist;
   * `ABORTED`; and what `work` throws.
   */
  static async use<T>(
    config: DatabaseConfig,
    signal: AbortSignal | undefined,
    work: (session: MigrationSession) => Promise<T>,
  ): Promise<T> {
    await using connection = await connect(config, { signal });
    return await borrow(connection, async (scope) => {
      // Behind a pooler it would stay for others; there the schema is only looked at.
      if (config.pooler === "none") await scope.script(RESET);
      const [row] = await scope.sql<{ schema: string | null; database: string }>`
        select current_schema() as schema, current_database() as database
      `;
      if (!row?.schema) {
        throw new DatabaseError("MIGRATION_FAILED", {
          message: "The schema does not exist; create it, or set DB_SCHEMA to one that does",
        });
      }
      return await work(new MigrationSession(scope, row.schema, row.database));
    }, { signal });
  }

  /** Runs a script as it is: several statements are one transaction, one alone need not be any. */
  async run(script: string): Promise<void> {
    await this.script(script);
    await this.script(RESET);
  }

  /** Runs text that is no template; it can hold several statements. */
  async script(text: string): Promise<void> {
    await this.#scope.script(text);
  }

  async transaction(work: () => Promise<void>): Promise<void> {
    await this.sql`begin`;
    await work();
    await this.sql`commit`;
  }

  /** Makes the tables in which the books are kept. */
  async createTables(): Promise<void> {
    await this.table.create();
    await this.log.create();
  }
}
