import { readdir, readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";

/** A running process and its command line (for PostgreSQL, its process title). */
export interface RunningProcess {
  readonly pid: number;
  readonly command: string;
}

/** Lists all processes visible to this user, without zombies, which have no command line. */
export async function listProcesses(): Promise<RunningProcess[]> {
  // Slim container images have no ps, and macOS has no /proc.
  return Deno.build.os === "linux" ? await listFromProc() : await listFromPs();
}

/**
 * Returns the processes of the server with the `cluster_name` `name`, the postmaster first.
 *
 * The arguments of the postmaster and the titles of its children contain the name, so this also
 * finds backends whose postmaster is gone.
 */
export async function serverProcesses(name: string): Promise<RunningProcess[]> {
  const all = await listProcesses();
  const postmaster = all.filter(({ command }) => isPostmaster(command, name));
  const children = all.filter(({ command }) => command.startsWith(`postgres: ${name}: `));
  return [...postmaster, ...children];
}

/** Whether `command` is the command line of the postmaster of the server `name`. */
export function isPostmaster(command: string, name: string): boolean {
  return command.split(" ").includes(`cluster_name=${name}`);
}

/** Sends a signal to a process, if it still exists. */
export function sendSignal(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Kills every process of the server `name`, and waits until none is left. */
export async function killServerProcesses(name: string): Promise<void> {
  // The postmaster is first in the list, so that it cannot fork more children. Listing again finds
  // those that it forked before it was killed.
  for (let left = await serverProcesses(name); left.length > 0;) {
    for (const { pid } of left) sendSignal(pid, "SIGKILL");
    await delay(5);
    left = await serverProcesses(name);
  }
}

/**
 * Stops every process of the server `name` with SIGSTOP, and waits until all are stopped: a process
 * that is not scheduled handles the signal later.
 */
export async function stopServerProcesses(name: string): Promise<void> {
  // The postmaster is first in the list; listing again finds children that it forked before.
  for (let look = 0; look < 2; look++) {
    for (const { pid } of await serverProcesses(name)) {
      sendSignal(pid, "SIGSTOP");
      while (await isRunning(pid)) await delay(5);
    }
  }
}

/** Whether a process is neither stopped nor gone. */
async function isRunning(pid: number): Promise<boolean> {
  const state = Deno.build.os === "linux" ? await stateFromProc(pid) : await stateFromPs(pid);
  return state !== undefined && !/[TtZX]/.test(state);
}

async function stateFromProc(pid: number): Promise<string | undefined> {
  // A process may end in the meantime.
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  return /^State:\s+(\w)/m.exec(status)?.[1];
}

async function stateFromPs(pid: number): Promise<string | undefined> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "state=", "-p", `${pid}`] })
    .output();
  return /^\s*(\w)/.exec(new TextDecoder().decode(stdout))?.[1];
}

async function listFromProc(): Promise<RunningProcess[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const commands = await Promise.all(
    // A process may end between the listing and the read.
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")),
  );
  return pids.map((pid, index) => ({
    pid: Number(pid),
    command: commands[index]!.replaceAll("\0", " ").trim(),
  })).filter(({ command }) => command !== "");
}

async function listFromPs(): Promise<RunningProcess[]> {
  const { stdout } = await new Deno.Command("ps", { args: ["-axo", "pid=,command="] }).output();
  return new TextDecoder().decode(stdout).split("\n").flatMap((line) => {
    const [, pid, command] = /^\s*(\d+)\s+(.+)$/.exec(line) ?? [];
    return pid !== undefined && command !== undefined ? [{ pid: Number(pid), command }] : [];
  });
}
