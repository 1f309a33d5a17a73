import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { ConfigError, ConfigSource, loadConfig, type ServerConfig } from "../src/config/mod.ts";
import { banner, serviceUrl } from "./banner.ts";
import { type DevDatabase, startDevDatabase } from "./dev_database.ts";
import { DirectoryLock } from "./postgres/directory_lock.ts";
import type { Project } from "./project.ts";
import { ProjectWatcher } from "./project_watcher.ts";
import { requireFreeAddress, waitUntilServing } from "./serving.ts";
import { ServiceProcess, stopLeftoverService } from "./service_process.ts";

/** The service's exit code for settings that it cannot accept. */
const CONFIG_EXIT_CODE = 2;

export interface SupervisorOptions {
  readonly project: Project;
  readonly env: Readonly<Record<string, string>>;
  /** Tells the developer something. */
  readonly say: (text: string) => void;
  /** Ends the run: the service first, then the database. */
  readonly stop: AbortSignal;
  /** Ends the service without waiting for its requests. */
  readonly force: AbortSignal;
}

type Event =
  | { readonly kind: "stop" | "database ended" }
  | { readonly kind: "change"; readonly path: string }
  | { readonly kind: "service ended"; readonly code: number };

/**
 * Runs the service, with a database of its own when none is configured, and starts it again after
 * each change of a file.
 *
 * `deno run --watch` is not enough: measured on Deno 2.9.6, it lets the service's SIGTERM listener
 * run, but ends everything 500 ms later, so a reload cuts off requests in flight and leaves
 * connections to the database behind.
 */
export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #stopped: Promise<Event>;
  #database: DevDatabase | undefined;
  #changed = Promise.withResolvers<string>();
  #hasServed = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<Event>();
    this.#stopped = promise;
    const onStop = () => resolve({ kind: "stop" });
    if (options.stop.aborted) onStop();
    options.stop.addEventListener("abort", onStop, { once: true });
  }

  /**
   * Resolves when all has ended after `stop`.
   *
   * @throws {Error} When the first start fails, or another supervisor runs for the project.
   */
  async run(): Promise<void> {
    const { project, stop, say } = this.#options;
    await mkdir(project.dataDirectory, { recursive: true });
    const lock = await DirectoryLock.acquire(join(project.dataDirectory, "dev.lock"));
    try {
      await using _watcher = await ProjectWatcher.start(
        project.root,
        (path) => this.#changed.resolve(path),
      );
      const pidFile = this.#pidFile;
      if (await stopLeftoverService(pidFile, await project.startArguments())) {
        say("Stopped the service of an earlier run that had ended without it.");
      }
      for (let first = true; !stop.aborted; first = false) {
        this.#changed = Promise.withResolvers();
        try {
          await this.#serveOnce();
        } catch (error) {
          if (first || stop.aborted) throw error;
          say(`${error instanceof Error ? error.message : error}`);
          await this.#changeOrStop();
        }
      }
    } finally {
      await this.#closeDatabase();
      lock.release();
    }
  }

  get #pidFile(): string {
    return join(this.#options.project.dataDirectory, "service.pid");
  }

  /** Runs the service until it must be started again, or not any more. */
  async #serveOnce(): Promise<void> {
    const { project, say, force } = this.#options;
    await this.#chooseDatabase();
    const settings = await this.#settings();
    const server = this.#serverConfig(settings);
    if (server !== undefined) requireFreeAddress(server);
    const service = await ServiceProcess.start({
      args: await project.startArguments(),
      cwd: project.root,
      env: settings,
      pidFile: this.#pidFile,
    });
    const over = new AbortController();
    const announced = server && this.#announce(server, over.signal);
    try {
      const event = await this.#nextEvent(service);
      if (event.kind === "change") say(`${event.path} changed. Starting the service again.`);
      if (event.kind !== "service ended") return;
      const reason = event.code === CONFIG_EXIT_CODE
        ? "The service cannot run with these settings"
        : `The service ended by itself (exit code ${event.code})`;
      say(`${reason}. Waiting for a file to change.`);
    } finally {
      over.abort();
      await service.stop(force);
      await announced;
    }
    await this.#changeOrStop();
  }

  /** The embedded database is for a project without a configured one; `.env` can change that. */
  async #chooseDatabase(): Promise<void> {
    const { project, env, say, stop } = this.#options;
    if (new ConfigSource({ env, envFile: project.envFile }).isDatabaseConfigured()) {
      return await this.#closeDatabase();
    }
    const { DB_SCHEMA: schema } = await project.variables(env);
    this.#database ??= await startDevDatabase(project.dataDirectory, schema, say, stop);
  }

  async #closeDatabase(): Promise<void> {
    const database = this.#database;
    this.#database = undefined;
    await database?.[Symbol.asyncDispose]();
  }

  /** What the service's environment has beyond this process's. */
  async #settings(): Promise<Record<string, string>> {
    const { project, env } = this.#options;
    const set = await project.variables(env);
    return {
      ...(!set.LOG_FORMAT && { LOG_FORMAT: "pretty" }),
      ...(!set.SERVER_HOST && { SERVER_HOST: "127.0.0.1" }),
      ...(this.#database && { ...this.#database.settings, DB_MIGRATE_ON_START: "true" }),
    };
  }

  async #nextEvent(service: ServiceProcess): Promise<Event> {
    for (;;) {
      const event = await Promise.race([
        this.#stopped,
        this.#changed.promise.then((path): Event => ({ kind: "change", path })),
        service.exited.then(({ code }): Event => ({ kind: "service ended", code })),
        ...(this.#database === undefined
          ? []
          : [this.#database.exited.then((): Event => ({ kind: "database ended" }))]),
      ]);
      if (event.kind !== "database ended") return event;
      // Same port and password: the service finds it again by itself.
      this.#options.say(
        `PostgreSQL ended by itself (${this.#database?.logFile}). Starting it again.`,
      );
      await this.#closeDatabase();
      await this.#chooseDatabase();
    }
  }

  async #changeOrStop(): Promise<void> {
    await Promise.race([this.#changed.promise, this.#stopped]);
  }

  /** Undefined for wrong settings: the service has the same ones, and lists what is wrong. */
  #serverConfig(settings: Record<string, string>): ServerConfig | undefined {
    const { project, env } = this.#options;
    try {
      return loadConfig({ env: { ...env, ...settings }, envFile: project.envFile }).server;
    } catch (error) {
      if (error instanceof ConfigError) return undefined;
      throw error;
    }
  }

  /** Says where everything is once the service answers; once, and a line for each later start. */
  async #announce(server: ServerConfig, signal: AbortSignal): Promise<void> {
    if (!await waitUntilServing(server, signal)) return;
    const url = serviceUrl(server);
    this.#options.say(this.#hasServed ? `Serving again on ${url}` : banner(url, this.#database));
    this.#hasServed = true;
  }
}
