import type { ConnectionInfo, StopMode } from "../../dev/postgres/server.ts";
import { TestDatabase } from "./postgres_database.ts";
import { startEmbedded } from "./postgres_embedded.ts";
import { chooseProvider } from "./postgres_provider.ts";
import type { StartServer, TestPostgresOptions, TestServer } from "./postgres_server.ts";
import { SharedDatabase } from "./postgres_shared.ts";
import { DATABASE } from "./postgres_template.ts";

export { TestDatabase, type TestPostgresOptions };

const provider = await chooseProvider();

/**
 * A fresh database and a role that owns it, for a test that leaves the server as it is. Disposing
 * it leaves nothing behind.
 *
 * ```ts
 * await using server = await createDatabase();
 * const sql = postgres(server.database);
 * ```
 */
export async function createDatabase(): Promise<TestDatabase> {
  if (provider.sharedServer === undefined) return await startPostgres();
  return await SharedDatabase.create(provider.sharedServer);
}

/**
 * Starts a fresh PostgreSQL with an empty `treasury_db` on a free port, for a test that stops,
 * breaks or configures its server, or counts on these names. Disposing it leaves no process and no
 * file behind.
 *
 * ```ts
 * await using server = await startPostgres();
 * const sql = postgres(server.database);
 * ```
 */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  return await own(provider.startServer, options);
}

/** As {@linkcode startPostgres}, embedded whatever the provider is: for tests of just that. */
export async function startEmbeddedPostgres(
  options: TestPostgresOptions = {},
): Promise<TestPostgres> {
  return await own(startEmbedded, options);
}

/** A real PostgreSQL for one test, and the faults that a test can give it. */
export class TestPostgres extends TestDatabase {
  readonly #server: TestServer;
  readonly #cleanup: AsyncDisposableStack;

  constructor(server: TestServer, cleanup: AsyncDisposableStack) {
    super();
    this.#server = server;
    this.#cleanup = cleanup;
  }

  /** How the service connects. The same over restarts. */
  override get database(): ConnectionInfo {
    return { ...this.superuser, ...DATABASE };
  }

  /** Like {@linkcode database}, as `postgres`. */
  override get superuser(): ConnectionInfo {
    return { ...this.#server.superuser, database: DATABASE.database };
  }

  /** Of the postmaster; `undefined` while the server is down, and in a container. */
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

  override async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

async function own(startServer: StartServer, options: TestPostgresOptions): Promise<TestPostgres> {
  await using cleanup = new AsyncDisposableStack();
  const server = await startServer(options, cleanup);
  return new TestPostgres(server, cleanup.move());
}
