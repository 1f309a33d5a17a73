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
  dynamic_shared_memory_type: "mmap", // not in /dev/shm, where a killed server would leave it
  lc_messages: "C", // so that the log contains the lines above
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

/** PostgreSQL's first process, which listens and starts all others. */
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
      // In a separate session, which Ctrl-C in the terminal does not reach: the service must close
      // before its database does.
      detached: true,
    }).spawn();
    this.pid = child.pid;
    this.exited = Promise.all([child.status, this.#follow(child.stderr, options.onLog)])
      .then(() => this.#ready.reject(new Error(`PostgreSQL did not start:\n${this.#logTail()}`)));
    this.#ready.promise.catch(() => {}); // callers of ready() receive the error
  }

  /**
   * Resolves when the server accepts connections.
   *
   * @throws {Error} If the process ends first; the message contains the end of its log.
   */
  ready(signal?: AbortSignal): Promise<void> {
    return abortable(this.#ready.promise, signal);
  }

  /** Whether the end of the log shows that the port is in use. */
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
    return this.#tail.join("\n") || "(its log is empty)";
  }
}
