import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runAs, serverAccount } from "../../dev/postgres/account.ts";
import { findFreePort } from "../../dev/postgres/free_port.ts";
import type { DatabaseConfig } from "../../src/config/mod.ts";
import { eventually } from "./condition.ts";
import type { TestPostgres } from "./postgres.ts";
import { TestDirectory } from "./postgres_directory.ts";
import { findProgram, testUnless, whyNoProgram } from "./requirement.ts";

/** What docs/scaling.md tells people to begin with. */
const EXAMPLE = fileURLToPath(new URL("../../deploy/pgbouncer/pgbouncer.ini", import.meta.url));

/** The modes of PgBouncer that the service works with, which are words of DB_POOLER too. */
export const POOL_MODES = ["session", "transaction"] as const;
export type PoolMode = typeof POOL_MODES[number];

/** Declares a test that needs PgBouncer; where there is none, it is ignored and says why. */
export function pgBouncerTest(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  testUnless(whyNoProgram("pgbouncer", "pgbouncer"), name, fn);
}

/** Settings of {@linkcode startPgBouncer}. */
export interface TestPgBouncerOptions {
  /** What differs from the example in the section `[pgbouncer]`. */
  readonly settings?: Readonly<Record<string, string | number>>;
}

/**
 * Starts a PgBouncer before the server, on a free port, with the example's configuration. Disposing
 * it leaves no process and no file behind.
 *
 * ```ts
 * await using server = await startPostgres();
 * await using bouncer = await startPgBouncer(server, "transaction");
 * await using database = new DatabaseManager(bouncer.config({ maxConnections: 50 }));
 * ```
 */
export async function startPgBouncer(
  server: TestPostgres,
  mode: PoolMode,
  options: TestPgBouncerOptions = {},
): Promise<TestPgBouncer> {
  await using cleanup = new AsyncDisposableStack();
  const directory = cleanup.use(await TestDirectory.make());
  const port = findFreePort();
  const file = await writeConfiguration(directory.path, server, { mode, port, ...options });
  const daemon = cleanup.use(new Daemon(port, file));
  await daemon.start();
  return new TestPgBouncer(server, mode, daemon, cleanup.move());
}

/** A real PgBouncer for one test. */
export class TestPgBouncer implements AsyncDisposable {
  readonly #server: TestPostgres;
  readonly #mode: PoolMode;
  readonly #daemon: Daemon;
  readonly #cleanup: AsyncDisposableStack;

  constructor(
    server: TestPostgres,
    mode: PoolMode,
    daemon: Daemon,
    cleanup: AsyncDisposableStack,
  ) {
    this.#server = server;
    this.#mode = mode;
    this.#daemon = daemon;
    this.#cleanup = cleanup;
  }

  /** As `TestPostgres.config`, through PgBouncer, with the setting that fits its mode. */
  config(overrides: Partial<DatabaseConfig> = {}): DatabaseConfig {
    const hosts = [{ host: "127.0.0.1", port: this.#daemon.port }];
    return this.#server.config({ hosts, pooler: this.#mode, ...overrides });
  }

  /** Starts it again after {@linkcode stop}, on the same port. */
  async start(): Promise<void> {
    await this.#daemon.start();
  }

  /** Ends it at once, with every connection. */
  async stop(): Promise<void> {
    await this.#daemon.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#cleanup.disposeAsync();
  }
}

/** The process, which may come and go. */
class Daemon implements AsyncDisposable {
  readonly port: number;
  readonly #file: string;
  #process: Deno.ChildProcess | undefined;

  constructor(port: number, file: string) {
    this.port = port;
    this.#file = file;
  }

  async start(): Promise<void> {
    this.#process = new Deno.Command(findProgram("pgbouncer") ?? "pgbouncer", {
      args: ["--quiet", this.#file],
      stdout: "null",
      stderr: "null",
      // Like PostgreSQL, it refuses to run as root.
      ...runAs(await serverAccount()),
    }).spawn();
    await eventually(async () => {
      (await Deno.connect({ port: this.port })).close();
      return true;
    }, {
      what: "PgBouncer accepts connections",
    });
  }

  async stop(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.status;
    this.#process = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

interface Configuration extends TestPgBouncerOptions {
  readonly mode: PoolMode;
  readonly port: number;
}

/** @returns The path of the file. */
async function writeConfiguration(
  directory: string,
  server: TestPostgres,
  { mode, port, settings }: Configuration,
): Promise<string> {
  const { host, port: serverPort, database, user, password } = server.database;
  const userList = join(directory, "userlist.txt");
  await Deno.writeTextFile(userList, `"${user}" "${password}"\n`);
  const changed = {
    listen_addr: "127.0.0.1",
    listen_port: port,
    unix_socket_dir: "",
    auth_file: userList,
    pool_mode: mode,
    ...settings,
  };
  const example = await Deno.readTextFile(EXAMPLE);
  const file = join(directory, "pgbouncer.ini");
  const lines = withSettings(example.split("\n"), {
    // The example's name too.
    [database]: `host=${host} port=${serverPort}`,
    ...changed,
  });
  await Deno.writeTextFile(file, lines.join("\n"));
  return file;
}

/**
 * Replaces what is there, and adds the rest to the last section. A section that stands twice would
 * begin with PgBouncer's defaults again.
 */
function withSettings(
  lines: readonly string[],
  settings: Readonly<Record<string, string | number>>,
): string[] {
  const missing = new Map(Object.entries(settings));
  const replaced = lines.map((line) => {
    const name = line.split("=", 1)[0]!.trim();
    const value = missing.get(name);
    return missing.delete(name) ? `${name} = ${value}` : line;
  });
  return [...replaced, ...[...missing].map(([name, value]) => `${name} = ${value}`), ""];
}
