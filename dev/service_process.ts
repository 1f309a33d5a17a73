import { setTimeout as delay } from "node:timers/promises";
import { readTextIfThere, removeIfThere } from "./files.ts";
import { listProcesses, sendSignal } from "./postgres/processes.ts";

/** Longer than the service's own limit for a shutdown (25 s). */
const STOP_MS = 30_000;
const POLL_MS = 20;

export interface ServiceOptions {
  /** Arguments for `deno`. */
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to this process's environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Remembers the process for {@linkcode stopLeftoverService}. */
  readonly pidFile: string;
}

/** The service as a child process. */
export class ServiceProcess {
  readonly exited: Promise<Deno.CommandStatus>;
  readonly #child: Deno.ChildProcess;
  #ended = false;

  private constructor(child: Deno.ChildProcess, pidFile: string) {
    this.#child = child;
    this.exited = child.status.finally(() => {
      this.#ended = true;
      return removeIfThere(pidFile);
    });
  }

  static async start({ args, cwd, env, pidFile }: ServiceOptions): Promise<ServiceProcess> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [...args],
      cwd,
      env: { ...env },
      stdin: "null",
      // Ctrl-C goes to the whole process group of the terminal. Were the service in it, it would
      // get that signal and then ours, and take the second one as an order to drop everything.
      detached: true,
    }).spawn();
    const service = new ServiceProcess(child, pidFile);
    await Deno.writeTextFile(pidFile, `${child.pid}\n`);
    return service;
  }

  /** Asks the service to shut down and waits; kills it after 30 s, or when `force` aborts. */
  async stop(force: AbortSignal): Promise<void> {
    this.#send("SIGTERM");
    const limit = AbortSignal.any([force, AbortSignal.timeout(STOP_MS)]);
    const kill = () => this.#send("SIGKILL");
    if (limit.aborted) kill();
    limit.addEventListener("abort", kill);
    try {
      await this.exited;
    } finally {
      limit.removeEventListener("abort", kill);
    }
  }

  #send(signal: Deno.Signal): void {
    if (!this.#ended) sendSignal(this.#child.pid, signal);
  }
}

/**
 * Stops the service of an earlier run whose supervisor was killed: it would still hold the port.
 * The caller must be the only supervisor of the project.
 *
 * @returns Whether there was one.
 */
export async function stopLeftoverService(
  pidFile: string,
  args: readonly string[],
): Promise<boolean> {
  const pid = Number(await readTextIfThere(pidFile));
  // The number may belong to some other program by now.
  const isService = async () =>
    (await listProcesses()).some((one) => one.pid === pid && one.command.endsWith(args.join(" ")));
  const found = await isService();
  if (found) {
    sendSignal(pid, "SIGTERM");
    const deadline = performance.now() + STOP_MS;
    while (await isService()) {
      if (performance.now() > deadline) sendSignal(pid, "SIGKILL");
      await delay(POLL_MS);
    }
  }
  await removeIfThere(pidFile);
  return found;
}
