import type { Registry } from "prom-client";
import {
  DatabaseError,
  type DatabaseManager,
  querySchemaVersion,
  type SchemaVersion,
} from "../../database/mod.ts";
import { snapshotGauge } from "./snapshot.ts";

/** The part of the manager that reads the schema version. */
export type MigratedDatabase = Pick<
  DatabaseManager,
  "config" | "pools" | "state" | "withConnection"
>;

/** Age up to which a schema version is reused instead of queried for every scrape. */
const FRESH_MS = 15_000;

/** Timeout of the query, so that an unresponsive database does not block the other metrics. */
const READ_TIMEOUT_MS = 1_000;

/** Version and dirty flag of the schema; no values while they are unknown. */
export function addMigrationMetrics(registry: Registry, database: MigratedDatabase): void {
  const reader = new SchemaVersionReader(database);
  snapshotGauge(registry, {
    name: "treasury_database_migration_version",
    help: "Version of the last applied migration, 0 before the first.",
  }, async (report) => {
    const schema = await reader.latest();
    if (schema?.version !== undefined) report(schema.version);
  });
  snapshotGauge(registry, {
    name: "treasury_database_migration_dirty",
    help: "1 while the schema is dirty: a migration did not complete.",
  }, async (report) => {
    const schema = await reader.latest();
    if (schema !== undefined) report(Number(schema.dirty));
  });
}

/** Queries and caches the schema version. */
class SchemaVersionReader {
  readonly #database: MigratedDatabase;
  #last: SchemaVersion | undefined;
  #readAt = -Infinity;
  #reading: Promise<void> | undefined;

  constructor(database: MigratedDatabase) {
    this.#database = database;
  }

  /** Returns the last known version. Never rejects. */
  async latest(): Promise<SchemaVersion | undefined> {
    this.#reading ??= this.#refresh().finally(() => this.#reading = undefined);
    await this.#reading;
    return this.#last;
  }

  async #refresh(): Promise<void> {
    if (!this.#canRead || performance.now() - this.#readAt < FRESH_MS) return;
    this.#readAt = performance.now();
    try {
      const options = { timeoutMs: READ_TIMEOUT_MS };
      this.#last = await querySchemaVersion(this.#database, options);
    } catch (error) {
      // Keep the last version: other metrics report the errors of the database. Any other error is
      // a bug, which must not prevent the other metrics.
      if (!(error instanceof DatabaseError)) reportError(error);
    }
  }

  /** Callers that wait for a connection take precedence. */
  get #canRead(): boolean {
    const stats = this.#database.pools.get("primary")?.stats();
    const hasRoom = stats !== undefined && stats.waiting === 0 && stats.inUse < stats.max;
    return this.#database.state === "connected" && hasRoom;
  }
}
