import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { ServerConfig } from "../../src/config/mod.ts";
import { eventually } from "./condition.ts";

/** What a server process holds on to at a moment, after a garbage collection. */
export interface ServerUsage {
  /** Bytes of the JavaScript heap that are in use. */
  readonly heapUsed: number;
  /** Resident memory of the process in bytes. */
  readonly rss: number;
  /** Client connections that are open. */
  readonly connections: number;
  /** HTTP/2 sessions that are still in memory, open or not; NaN where the server does not count. */
  readonly sessions: number;
}

export interface ServerProcessOptions {
  /** Settings that differ from the defaults. */
  readonly config?: Partial<Omit<ServerConfig, "tls">>;
  /**
   * Whether to serve TLS, with the certificate of `tests/support/tls`.
   *
   * @default false
   */
  readonly tls?: boolean;
  /**
   * The Deno that runs the server.
   *
   * @default the one that runs the test
   */
  readonly deno?: string;
  /**
   * Another server, as a program and its arguments. It speaks as `server_main.ts` does on standard
   * input and output; the other options mean nothing to it.
   */
  readonly command?: readonly string[];
}

type LogRecord = Readonly<Record<string, unknown>>;

const MAIN = fileURLToPath(new URL("./server_main.ts", import.meta.url));

/** The transport with steady health RPCs in a fresh process, for faults that take a process down. */
export class ServerProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;
  readonly #logs: LogRecord[] = [];
  readonly #printed: Promise<unknown>;
  #stderr = "";
  #questions = 0;
  #hasExited = false;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#stdin = child.stdin.getWriter();
    this.#printed = Promise.all([
      readLines(child.stdout, (line) => void this.#logs.push(JSON.parse(line))),
      readLines(child.stderr, (line) => void (this.#stderr += `${line}\n`)),
      child.status.then(() => void (this.#hasExited = true)),
    ]);
  }

  /** Starts a server on a free port of the loopback interface and waits until it serves. */
  static async start(
    { config = {}, tls = false, deno = Deno.execPath(), command }: ServerProcessOptions = {},
  ): Promise<ServerProcess> {
    const own = ["run", "-A", "--v8-flags=--expose-gc", MAIN, JSON.stringify(config)];
    const [program, ...args] = command ?? [deno, ...own, ...tls ? ["tls"] : []];
    const child = new Deno.Command(program!, {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const server = new ServerProcess(child);
    try {
      await server.#logged("service.started");
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  get url(): string {
    return String(this.#started?.url);
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Where HTTP/1.1 is spoken; another port only where the server has one for each version. */
  get http1Port(): number {
    return Number(new URL(String(this.#started?.http1Url ?? this.url)).port);
  }

  get pid(): number {
    return this.#child.pid;
  }

  get hasExited(): boolean {
    return this.#hasExited;
  }

  /** Errors that the server has logged: of RPCs, of requests, and bugs that nobody handled. */
  get errors(): readonly LogRecord[] {
    return this.#logs.filter(({ level }) => level === "error" || level === "fatal");
  }

  /** Everything that the process has printed. */
  get output(): string {
    return [...this.#logs.map((record) => JSON.stringify(record)), this.#stderr].join("\n");
  }

  /** @throws {Error} When the process has ended. */
  async usage(): Promise<ServerUsage> {
    const event = `usage.${++this.#questions}`;
    // Not awaited: of a process that has died, Deno may never say whether it has read this.
    this.#stdin.write(new TextEncoder().encode(`${event}\n`)).catch(() => {});
    const { heapUsed, rss, connections, sessions } = await this.#logged(event);
    return {
      heapUsed: Number(heapUsed),
      rss: Number(rss),
      connections: Number(connections),
      sessions: Number(sessions ?? NaN),
    };
  }

  /** Asks the server to shut down and waits for it. */
  async stop(): Promise<Deno.CommandStatus> {
    this.#child.kill("SIGTERM");
    return await this.exited();
  }

  /** Resolves when the process has ended and everything that it printed has been read. */
  async exited(): Promise<Deno.CommandStatus> {
    await this.#printed;
    return await this.#child.status;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasExited) this.#child.kill("SIGKILL");
    await this.exited();
    this.#stdin.abort().catch(() => {}); // Its reader has gone.
  }

  get #started(): LogRecord | undefined {
    return this.#logs.find(({ event }) => event === "service.started");
  }

  async #logged(event: string): Promise<LogRecord> {
    const logged = () => this.#logs.find((record) => record.event === event);
    await eventually(() => logged() ?? this.#hasExited, {
      what: `the server process says ${event}`,
    });
    return logged() ?? fail(`The server process has ended:\n${this.output}`);
  }
}

function fail(message: string): never {
  throw new Error(message);
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  for await (const line of createInterface({ input: Readable.fromWeb(stream as never) })) {
    onLine(line);
  }
}
