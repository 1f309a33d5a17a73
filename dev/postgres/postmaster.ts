import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { abortable } from "../../src/time.ts";
import type { Account } from "./account.ts";
import { programOptions } from "./cluster.ts";

// A hot standby is ready for read-only connections.
const READY = /database system is ready to accept (read-only )?connections/;
const PORT_TAKEN = "Address already in use";
const TAIL_LINES = 20;

const SETTINGS = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "", // nothing in /tmp
  dynamic_shared_memory_type: "mmap", // nothing in /dev/shm, where a killed server would leave it
  lc_messages: "C", // the lines above are looked for in the log
} as const;

export interface PostmasterOptions {
  readonly program: string;
  readonly account: Account | undefined;
  readonly dataDirectory: string;
  readonly port: number;
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly onLog: (line: string) => void;
}

/** PostgreSQL's first process: the one that listens and starts all others. */
export class Postmaster {
  readonly pid: number;
  /** Resolves when the process has ended and its log has been read. */
  readonly exited: Promise<void>;
  readonly #ready = Promise.withResolvers<void>();
  readonly #tail: string[] = [];

  constructor(options: PostmasterOptions) {
    const settings = {
      ...SETTINGS,
      ...options.settings,
      port: String(options.port),
      cluster_name: options.name,
    };
    const child = new Deno.Command(options.program, {
      args: [
        ...["-D", options.dataDirectory],
        ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
      ],
      ...programOptions(options.account),
      stdout: "null",
      stderr: "piped",
      // In a session of its own, out of reach of the terminal's Ctrl-C: the service must close
      // before its database does.
      detached: true,
    }).spawn();
    this.pid = child.pid;
    this.exited = Promise.all([child.status, this.#follow(child.stderr, options.onLog)])
      .then(() => this.#ready.reject(new Error(`PostgreSQL did not start:\n${this.#logTail()}`)));
    this.#ready.promise.catch(() => {}); // whoever calls ready() gets it
  }

  /**
   * Resolves when the server accepts connections.
   *
   * @throws {Error} With the end of the server's log, when the process ends before that.
   */
  ready(signal?: AbortSignal): Promise<void> {
    return abortable(this.#ready.promise, signal);
  }

  /** Whether the log's end says that another process listens on the port. */
  get portTaken(): boolean {
    return this.#tail.some((line) => line.includes(PORT_TAKEN));
  }

  async #follow(stderr: ReadableStream<Uint8Array>, onLog: (line: string) => void): Promise<void> {
    for await (const line of createInterface({ input: Readable.fromWeb(stderr as never) })) {
      this.#tail.push(line);
      if (this.#tail.length > TAIL_LINES) this.#tail.shift();
      onLog(line);
      if (READY.test(line)) this.#ready.resolve();
    }
  }

  #logTail(): string {
    return this.#tail.join("\n") || "(it wrote no log)";
  }
}
