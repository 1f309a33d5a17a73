import type { Registry } from "prom-client";
import {
  DatabaseError,
  type DatabaseManager,
  querySchemaVersion,
  type SchemaVersion,
} from "../../database/mod.ts";
import { snapshotGauge } from "./snapshot.ts";

/** What the version of the schema is read from. */
export type MigratedDatabase = Pick<
  DatabaseManager,
  "config" | "pools" | "state" | "withConnection"
>;

/** Schemas seldom change, and every reader of the metrics would ask the database. */
const FRESH_MS = 15_000;

/** Longer than this, a frozen database must not hold up the metrics that tell of it. */
const READ_TIMEOUT_MS = 1_000;

/** Version and dirty flag of the schema; not shown while they are unknown. */
export function addMigrationMetrics(registry: Registry, database: MigratedDatabase): void {
  const reader = new SchemaVersionReader(database);
  snapshotGauge(registry, {
    name: "treasury_database_migration_version",
    help: "Version of the last migration, 0 before the first.",
  }, async (report) => {
    const schema = await reader.latest();
    if (schema?.version !== undefined) report(schema.version);
  });
  snapshotGauge(registry, {
    name: "treasury_database_migration_dirty",
    help: "1 while a migration is unfinished.",
  }, async (report) => {
    const schema = await reader.latest();
    if (schema !== undefined) report(Number(schema.dirty));
  });
}

/** Reads the version when it is asked for, but not each time. */
class SchemaVersionReader {
  readonly #database: MigratedDatabase;
  #last: SchemaVersion | undefined;
  #readAt = -Infinity;
  #reading: Promise<void> | undefined;

  constructor(database: MigratedDatabase) {
    this.#database = database;
  }

  /** Never rejects. */
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
      // The last one is still the best guess; what is wrong with the database, other metrics say.
      // Anything else is a defect, for which the other metrics must not be missing.
      if (!(error instanceof DatabaseError)) reportError(error);
    }
  }

  /** Callers that wait for a connection come first. */
  get #canRead(): boolean {
    const stats = this.#database.pools.get("primary")?.stats();
    const hasRoom = stats !== undefined && stats.waiting === 0 && stats.inUse < stats.max;
    return this.#database.state === "connected" && hasRoom;
  }
}
