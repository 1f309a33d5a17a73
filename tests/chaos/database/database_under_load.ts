import assert from "node:assert/strict";
import { type DependencyHealth, ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import type { DatabaseConfig } from "../../../src/config/mod.ts";
import {
  DatabaseError,
  type DatabaseManager,
  type DatabaseManagerOptions,
} from "../../../src/database/mod.ts";
import { PostgreSQLChecker } from "../../../src/health/mod.ts";
import {
  startManager,
  type TestManager,
  untilNoSessions,
  untilState,
  watchUnhandled,
} from "../../support/database_support.ts";
import { eventually } from "../../support/condition.ts";
import {
  assertLedger,
  createLedger,
  LedgerWorkload,
  type Outcome,
  writeTransfer,
} from "../../support/ledger.ts";
import type { TestPostgres } from "../../support/postgres.ts";
import { countAtRest, PoolWatch } from "./pool_watch.ts";
import { ReadLoad } from "./read_load.ts";
import { Story } from "./story.ts";

/** Short, so that an outage is noticed and over soon; not so short that a busy machine is one. */
const PATIENCE_MS = 1_500;
const WORKERS = 8;
const READERS = 4;
/** Fewer than callers, so that some of them wait in the queue whatever happens. */
const MAX_CONNECTIONS = 8;

export interface LoadOptions {
  /** As of the database manager. */
  readonly config?: Partial<DatabaseConfig>;
  readonly manager?: DatabaseManagerOptions;
  /**
   * Limit of each transfer and read, in milliseconds.
   *
   * @default 1_500
   */
  readonly timeoutMs?: number;
}

/**
 * A database manager with callers that transfer and read all the time, and everything that has to
 * be true of it whatever happens to its database.
 *
 * ```ts
 * await using load = await DatabaseUnderLoad.start(server);
 * await server.kill();
 * await load.untilHealth(ServiceStatus.UNHEALTHY, ["CONNECTION_REFUSED"]);
 * await server.start();
 * await load.untilRecovered();
 * await load.finish(server);
 * ```
 */
export class DatabaseUnderLoad implements AsyncDisposable {
  readonly database: DatabaseManager;
  readonly transfers: LedgerWorkload;
  readonly reads: ReadLoad;
  /** What is told of the database, from its first connection on. */
  readonly story: Story;
  readonly #checker: PostgreSQLChecker;
  readonly #pools: PoolWatch;
  readonly #unhandled = watchUnhandled();
  readonly #manager: TestManager;

  private constructor(manager: TestManager, timeoutMs: number) {
    this.#manager = manager;
    this.database = manager.database;
    this.#pools = new PoolWatch(this.database);
    this.#checker = new PostgreSQLChecker({ database: this.database });
    this.transfers = new LedgerWorkload({
      workers: WORKERS,
      transfer: (id) => transfer(this.database, id, timeoutMs),
    });
    this.reads = new ReadLoad(this.database, { readers: READERS, timeoutMs });
    this.story = new Story({ database: this.database, check: () => this.health() });
  }

  /** Starts a manager for this server, and its load; returns when transfers are being made. */
  static async start(
    server: TestPostgres,
    { config, manager: options = {}, timeoutMs = PATIENCE_MS }: LoadOptions = {},
  ): Promise<DatabaseUnderLoad> {
    await createLedger(server);
    const manager = startManager(server, {
      maxConnections: MAX_CONNECTIONS,
      connectTimeoutMs: PATIENCE_MS,
      pingTimeoutMs: PATIENCE_MS,
      acquireTimeoutMs: PATIENCE_MS,
      ...config,
    }, options);
    const load = new DatabaseUnderLoad(manager, timeoutMs);
    await load.transfers.more("committed", 2 * WORKERS);
    // Calls may get through before the first look at the server has ended.
    await untilState(load.database, "connected");
    return load;
  }

  /** What a health check says now. */
  health(): Promise<DependencyHealth> {
    return this.#checker.check(new AbortController().signal);
  }

  /** Waits until health checks say this. */
  async untilHealth(
    status: ServiceStatus,
    errorCodes: readonly string[] = [""],
  ): Promise<DependencyHealth> {
    return await eventually(async () => {
      const health = await this.health();
      assert.equal(ServiceStatus[health.status], ServiceStatus[status]);
      const { errorCode = "" } = health;
      assert.ok(errorCodes.includes(errorCode), `not the reason: ${errorCode}`);
      return health;
    }, { what: `health is ${ServiceStatus[status]} ${errorCodes}` });
  }

  /** Waits until the database is used as before. */
  async untilRecovered(): Promise<void> {
    await untilState(this.database, "connected");
    await this.transfers.more("committed", 2 * WORKERS);
    await this.reads.more(2 * READERS);
    await this.untilHealth(ServiceStatus.HEALTHY);
    assert.equal(this.database.accessMode, "READ_WRITE");
  }

  /**
   * Ends the load and the manager. `server` is where the ledger is, and the only one that is left:
   * after a failover, the new one.
   *
   * @throws When a call has not been settled or has thrown a bug, a rejection was not handled, a
   * pool's numbers were wrong at any time, those of all pools differ from the server's, a session
   * is left, or the ledger is wrong.
   */
  async finish(server: TestPostgres): Promise<void> {
    const outcomes = await settled(this.transfers.stop(), "every transfer has been settled");
    await settled(this.reads.stop(), "every read has been settled");
    await settled(this.story.stop(), "every health check has been settled");
    // A pooler keeps sessions that nobody uses.
    const hasPooler = this.database.config.pooler !== "none";
    await eventually(async () => {
      const open = countAtRest(this.database);
      if (!hasPooler) assert.equal(await server.sessions(), open);
      return true;
    }, { what: "the server has as many sessions as the pools" });
    await this.database.close();
    this.#pools.look();
    assert.equal(countAtRest(this.database), 0);
    if (!hasPooler) await untilNoSessions(server);
    await assertLedger(server, outcomes);
    assert.deepEqual(this.#pools.violations.slice(0, 3), [], "numbers that cannot be");
    assert.deepEqual(this.#unhandled.reasons, []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#manager[Symbol.asyncDispose]();
    await this.transfers[Symbol.asyncDispose]();
    await this.reads[Symbol.asyncDispose]();
    await this.story[Symbol.asyncDispose]();
    this.#pools[Symbol.dispose]();
    this.#unhandled[Symbol.dispose]();
  }
}

/** Makes a transfer, and says what its caller can know of it. */
export async function transfer(
  database: DatabaseManager,
  id: string,
  timeoutMs: number,
): Promise<Outcome> {
  try {
    await database.transaction((tx) => writeTransfer(tx, id), { timeoutMs });
    return "committed";
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    return error.code === "COMMIT_UNKNOWN" ? "unknown" : "failed";
  }
}

/** Fails instead of waiting for ever. */
async function settled<T>(promise: Promise<T>, what: string): Promise<T> {
  let isSettled = false;
  const mark = () => void (isSettled = true);
  promise.then(mark, mark);
  await eventually(() => isSettled, { what });
  return await promise;
}
