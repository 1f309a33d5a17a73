import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { claimPort, type PortClaim } from "../../dev/postgres/free_port.ts";
import { eventually } from "./condition.ts";
import { TestDirectory } from "./postgres_directory.ts";

/**
 * A service that shuts down as the real one does, and tells what the real one keeps to itself:
 * how it was started. A change of its `VERSION` is a change of the code.
 */
const SERVICE = `
const VERSION = 1;
const env = Deno.env.toObject();
const server = Deno.serve(
  { hostname: env.SERVER_HOST, port: Number(env.SERVER_PORT), onListen() {} },
  async (request) => {
    const { pathname } = new URL(request.url);
    console.log("asked for " + pathname);
    if (pathname === "/slow") await new Promise((resolve) => setTimeout(resolve, 2_000));
    if (pathname === "/forever") await new Promise(() => {});
    return Response.json({ version: VERSION, pid: Deno.pid, env });
  },
);
Deno.addSignalListener("SIGTERM", async () => {
  await server.shutdown();
  const database = { hostname: env.DB_HOST, port: Number(env.DB_PORT) };
  const there = await Deno.connect(database).then((c) => (c.close(), "there"), () => "gone");
  console.log("service closed, database " + there);
  Deno.exit(0);
});`;

export interface ServiceAnswer {
  readonly version: number;
  readonly pid: number;
  readonly env: Readonly<Record<string, string>>;
}

/** A small project to run under `dev/main.ts`. */
export class DevProject implements AsyncDisposable {
  readonly root: string;
  readonly port: number;
  readonly #directory: TestDirectory;
  /** Keeps the port while the service is started again. */
  readonly #claim: PortClaim;

  private constructor(directory: TestDirectory, claim: PortClaim) {
    this.#directory = directory;
    this.root = directory.path;
    this.#claim = claim;
    this.port = claim.port;
  }

  static async make(): Promise<DevProject> {
    const directory = await TestDirectory.make();
    const project = new DevProject(directory, await claimPort());
    // The last argument is for the check that no process is left behind.
    const start = `deno run --allow-net --allow-env src/main.ts ${directory.serverName}`;
    await project.write("deno.json", JSON.stringify({ tasks: { start } }));
    await project.write("src/main.ts", SERVICE);
    return project;
  }

  /** Replaces a file of the project. */
  async write(path: string, text: string): Promise<void> {
    const file = join(this.root, path);
    await Deno.mkdir(dirname(file), { recursive: true });
    await Deno.writeTextFile(file, text);
  }

  /** Gives the service another `VERSION`, with more code if need be. */
  async writeVersion(version: number, more = ""): Promise<void> {
    await this.write("src/main.ts", more + SERVICE.replace("VERSION = 1", `VERSION = ${version}`));
  }

  /** Starts the supervisor. */
  run(env: Readonly<Record<string, string>> = {}): DevRun {
    return new DevRun(this, env);
  }

  async ask(path = "/"): Promise<ServiceAnswer> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`);
    return await response.json();
  }

  /** Waits for the service of that version. */
  async untilServing(version: number): Promise<ServiceAnswer> {
    return await eventually(async () => {
      const answer = await this.ask();
      return answer.version === version && answer;
    }, { what: `version ${version} of the service answers` }) as ServiceAnswer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#claim[Symbol.asyncDispose]();
    await this.#directory[Symbol.asyncDispose]();
  }
}

/** One run of `deno task dev`. */
export class DevRun implements AsyncDisposable {
  output = "";
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<unknown>;
  readonly #disposed = new AbortController();

  constructor({ root, port }: DevProject, env: Readonly<Record<string, string>>) {
    const checkout = fileURLToPath(new URL("../..", import.meta.url));
    const inherited = Object.entries(Deno.env.toObject())
      .filter(([name]) => !/^(DB_|PG|DATABASE_URL|LOG_|SERVER_)/.test(name));
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "dev/main.ts", root],
      cwd: checkout,
      clearEnv: true,
      env: { ...Object.fromEntries(inherited), SERVER_PORT: String(port), ...env },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const { stdout, stderr } = this.#child;
    this.#read = Promise.all([stdout, stderr].map((stream) => this.#follow(stream)));
  }

  get pid(): number {
    return this.#child.pid;
  }

  send(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async untilOutput(pattern: RegExp): Promise<void> {
    await eventually(() => pattern.test(this.output), { what: `the output has ${pattern}` })
      .catch((error) => {
        throw new Error(`${error.message}\n${this.output}`);
      });
  }

  /** Waits for the end and gives the exit code. */
  async exitCode(): Promise<number> {
    await this.#read;
    return (await this.#child.status).code;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child[Symbol.asyncDispose]();
    // A service that outlived its supervisor holds the streams open.
    this.#disposed.abort();
    await this.#read.catch(() => {});
  }

  async #follow(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    const append = new WritableStream<Uint8Array>({
      write: (bytes) => void (this.output += decoder.decode(bytes, { stream: true })),
    });
    await stream.pipeTo(append, { signal: this.#disposed.signal });
  }
}
