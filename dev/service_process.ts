import { setTimeout as delay } from "node:timers/promises";
import { readTextIfThere, removeIfThere } from "./files.ts";
import { listProcesses, sendSignal } from "./postgres/processes.ts";

/** Longer than the shutdown timeout of the service (25 s). */
const STOP_MS = 30_000;
const POLL_MS = 20;

export interface ServiceOptions {
  /** Arguments of `deno`. */
  readonly args: readonly string[];
  readonly cwd: string;
  /** Added to the environment of this process. */
  readonly env: Readonly<Record<string, string>>;
  /** Stores the process id for {@linkcode stopLeftoverService}. */
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
      // The terminal sends Ctrl-C to its whole process group. In that group, the service would
      // receive the signal twice, and treat the second one as a request to exit immediately.
      detached: true,
    }).spawn();
    const service = new ServiceProcess(child, pidFile);
    await Deno.writeTextFile(pidFile, `${child.pid}\n`);
    return service;
  }

  /** Stops the service and waits; kills it after 30 s, or when `force` aborts. */
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
 * Stops the service of an earlier run whose supervisor was killed, because it still uses the port.
 * The caller must be the only supervisor of the project.
 *
 * @returns Whether there was one.
 */
export async function stopLeftoverService(
  pidFile: string,
  args: readonly string[],
): Promise<boolean> {
  const pid = Number(await readTextIfThere(pidFile));
  // The process id may belong to another program by now.
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
