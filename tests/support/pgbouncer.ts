import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type Account, runAs, serverAccount } from "../../dev/postgres/account.ts";
import { claimPort } from "../../dev/postgres/free_port.ts";
import type { DatabaseConfig } from "../../src/config/mod.ts";
import { eventually } from "./condition.ts";
import type { TestPostgres } from "./postgres.ts";
import { TestDirectory } from "./postgres_directory.ts";
import { findProgram, testUnless, whyNoProgram } from "./requirement.ts";

/** What docs/scaling.md tells people to begin with. */
const EXAMPLE = fileURLToPath(new URL("../../deploy/pgbouncer/pgbouncer.ini", import.meta.url));

/** As systemd's `RestartSec`. */
const RESTART_MS = 100;

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
  const { port } = cleanup.use(await claimPort());
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

/**
 * The process, which may come and go. When it ends by itself it is started again, as systemd does:
 * PgBouncer 1.18 ends when a server dies while a cancel request is on its way to it (its issue 822).
 */
class Daemon implements AsyncDisposable {
  readonly port: number;
  readonly #file: string;
  #running: { readonly stop: AbortController; readonly ended: Promise<void> } | undefined;

  constructor(port: number, file: string) {
    this.port = port;
    this.#file = file;
  }

  /** @throws {Error} With what it has printed, when it ends at once. */
  async start(): Promise<void> {
    const account = await serverAccount();
    const stop = new AbortController();
    const first = this.#run(account, stop.signal);
    const supervise = async () => {
      await first;
      while (!stop.signal.aborted) {
        await delay(RESTART_MS);
        if (!stop.signal.aborted) await this.#run(account, stop.signal);
      }
    };
    this.#running = { stop, ended: supervise() };
    // Another process can have taken the port, and would accept connections too.
    const failed = first.then((output) => {
      throw new Error(`PgBouncer has ended:\n${output}`);
    });
    await Promise.race([failed, this.#accepts()]);
  }

  async stop(): Promise<void> {
    this.#running?.stop.abort();
    await this.#running?.ended;
    this.#running = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Runs it until it ends, or is killed. @returns What it has printed. */
  async #run(account: Account | undefined, signal: AbortSignal): Promise<string> {
    const child = new Deno.Command(findProgram("pgbouncer") ?? "pgbouncer", {
      args: [this.#file],
      stdout: "null",
      stderr: "piped",
      // Like PostgreSQL, it refuses to run as root.
      ...runAs(account),
    }).spawn();
    const kill = () => {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error; // It has ended already.
      }
    };
    signal.addEventListener("abort", kill);
    try {
      const [output] = await Promise.all([child.stderr.text(), child.status]);
      return output;
    } finally {
      signal.removeEventListener("abort", kill);
    }
  }

  async #accepts(): Promise<void> {
    await eventually(async () => {
      (await Deno.connect({ port: this.port })).close();
      return true;
    }, { what: "PgBouncer accepts connections" });
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
