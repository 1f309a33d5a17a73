import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { Project } from "../../dev/project.ts";
import type { TestDatabase } from "./postgres.ts";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

const SECRETS = "/run/secrets";

/** A log record of the service. */
export type LogRecord = Readonly<Record<string, unknown>>;

export interface ServiceOptions {
  /** The service's whole environment; nothing is inherited but PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
  /** Content of the `.env` file in its working directory. */
  readonly envFile?: string;
  /**
   * The directory that it may read in place of `/run/secrets`, which a test cannot write to.
   *
   * @default /run/secrets
   */
  readonly secrets?: string;
  /** Path of a module that its process runs first: a fault inside of it. */
  readonly preload?: string;
}

/** How the service connects to this database, as `DATABASE_URL`. */
export function databaseUrl({ database }: TestDatabase): string {
  const url = new URL(`postgresql://${database.host}:${database.port}/${database.database}`);
  url.username = database.user;
  url.password = database.password;
  return url.href;
}

/** The settings that make the service use this database. */
export function databaseEnv({ database }: TestDatabase): Record<string, string> {
  return {
    DB_HOST: database.host,
    DB_PORT: String(database.port),
    DB_NAME: database.database,
    DB_USER: database.user,
    DB_PASSWORD: database.password,
    DB_RETRY_MAX_DELAY: "0.5",
  };
}

/**
 * Starts the service as `deno task start` does, in a process and with the permissions of its own,
 * on a free port of the loopback interface, and waits until it serves.
 */
export async function startService(options: ServiceOptions = {}): Promise<ServiceUnderTest> {
  const service = await launchService({
    ...options,
    env: { SERVER_HOST: "127.0.0.1", SERVER_PORT: "0", ...options.env },
  });
  try {
    await service.logged("service.started");
    return service;
  } catch (error) {
    await service[Symbol.asyncDispose]();
    throw error;
  }
}

/** As {@linkcode startService}, without waiting: for services that must not start. */
export async function launchService(options: ServiceOptions = {}): Promise<ServiceUnderTest> {
  const directory = await Deno.makeTempDir({ prefix: "treasury-service-" });
  if (options.envFile !== undefined) {
    await Deno.writeTextFile(join(directory, ".env"), options.envFile);
  }
  const { PATH = "", HOME = "" } = Deno.env.toObject();
  const [run, ...rest] = await new Project(ROOT).startArguments();
  const preload = options.preload === undefined ? [] : [`--preload=${options.preload}`];
  const child = new Deno.Command(Deno.execPath(), {
    args: [run!, ...preload, ...rest.map((one) => fromAnywhere(one, options))],
    cwd: directory,
    clearEnv: true,
    env: { PATH, HOME, NO_COLOR: "1", ...options.env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return new ServiceUnderTest(child, directory);
}

/** The task's paths are relative to the project, where a developer's `.env` would join in. */
function fromAnywhere(argument: string, { secrets = SECRETS }: ServiceOptions): string {
  if (argument === "src/main.ts") return join(ROOT, argument);
  return argument.startsWith("--allow-read=")
    ? argument.replace("migrations", join(ROOT, "migrations")).replace(SECRETS, secrets)
    : argument;
}

/** A running service, and everything it has printed. */
export class ServiceUnderTest implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #directory: string;
  readonly #printed: Promise<unknown>;
  readonly #waiting = new Set<() => void>();
  readonly logs: LogRecord[] = [];
  stderr = "";

  constructor(child: Deno.ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    this.#printed = Promise.all([
      readLines(child.stdout, (line) => {
        this.logs.push(JSON.parse(line));
        this.#wake();
      }),
      readLines(child.stderr, (line) => void (this.stderr += `${line}\n`)),
    ]).finally(() => this.#wake());
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** The address that the service logged at its start. */
  get url(): string {
    const record = this.logs.find(({ event }) => event === "service.started");
    return String(record?.url).replace(/\/$/, "");
  }

  /**
   * Waits for a log record of this event.
   *
   * @throws {Error} When the service ends without it; with what it printed.
   */
  async logged(event: string): Promise<LogRecord> {
    let ended = false;
    const end = this.#printed.then(() => void (ended = true));
    for (;;) {
      const record = this.logs.find((one) => one.event === event);
      if (record !== undefined) return record;
      if (ended) throw new Error(`The service ended without ${event}:\n${this.output()}`);
      await Promise.race([end, new Promise<void>((resolve) => this.#waiting.add(resolve))]);
    }
  }

  /** Everything printed so far, for messages and for looking for secrets. */
  output(): string {
    return this.logs.map((record) => JSON.stringify(record)).join("\n") + "\n" + this.stderr;
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Waits until the process has ended and everything it printed has been read. */
  async exited(): Promise<Deno.CommandStatus> {
    const status = await this.#child.status;
    await this.#printed;
    return status;
  }

  /** Asks the service to shut down and waits for it. */
  async stop(): Promise<Deno.CommandStatus> {
    this.kill("SIGTERM");
    return await this.exited();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended already.
    }
    await this.exited();
    await Deno.remove(this.#directory, { recursive: true });
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  const lines = createInterface({ input: Readable.fromWeb(stream as never), crlfDelay: Infinity });
  for await (const line of lines) onLine(line);
}
