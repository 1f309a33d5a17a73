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

/** Exit code of the service for invalid settings. */
const CONFIG_EXIT_CODE = 2;

export interface SupervisorOptions {
  readonly project: Project;
  readonly env: Readonly<Record<string, string>>;
  /** Prints a message for the developer. */
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
 * Runs the service, with an embedded database if none is configured, and restarts it after each
 * change of a file.
 *
 * `deno run --watch` is not sufficient: on Deno 2.9.6 it lets the SIGTERM listener of the service
 * run, but ends the process 500 ms later, so that a reload aborts requests in progress and leaves
 * database connections open.
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
   * Resolves when everything has ended after `stop`.
   *
   * @throws {Error} If the first start fails, or another supervisor runs for the project.
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
        say("Stopped the leftover service of an earlier run.");
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

  /** Runs the service until it must be restarted or stopped. */
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
      if (event.kind === "change") say(`${event.path} changed. Restarting the service.`);
      if (event.kind !== "service ended") return;
      const reason = event.code === CONFIG_EXIT_CODE
        ? "The service cannot run with these settings"
        : `The service exited unexpectedly (exit code ${event.code})`;
      say(`${reason}. Waiting for a file to change.`);
    } finally {
      over.abort();
      await service.stop(force);
      await announced;
    }
    await this.#changeOrStop();
  }

  /** Starts the embedded database if the project has no configured one; `.env` can change that. */
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

  /** What to add to the environment of the service. */
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
      // Same port and password: the service reconnects.
      this.#options.say(
        `PostgreSQL exited unexpectedly (${this.#database?.logFile}). Restarting it.`,
      );
      await this.#closeDatabase();
      await this.#chooseDatabase();
    }
  }

  async #changeOrStop(): Promise<void> {
    await Promise.race([this.#changed.promise, this.#stopped]);
  }

  /** Undefined for invalid settings, which the service reports. */
  #serverConfig(settings: Record<string, string>): ServerConfig | undefined {
    const { project, env } = this.#options;
    try {
      return loadConfig({ env: { ...env, ...settings }, envFile: project.envFile }).server;
    } catch (error) {
      if (error instanceof ConfigError) return undefined;
      throw error;
    }
  }

  /** Prints the addresses once the service responds, and a line for each later start. */
  async #announce(server: ServerConfig, signal: AbortSignal): Promise<void> {
    if (!await waitUntilServing(server, signal)) return;
    const url = serviceUrl(server);
    this.#options.say(this.#hasServed ? `Serving again on ${url}` : banner(url, this.#database));
    this.#hasServed = true;
  }
}
