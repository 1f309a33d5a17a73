import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { exists, readTextIfThere, removeIfThere } from "../files.ts";
import { type Account, runAs } from "./account.ts";
import type { Binaries } from "./binaries.ts";
import {
  isPostmaster,
  killServerProcesses,
  listProcesses,
  sendSignal,
  serverProcesses,
} from "./processes.ts";

/** Major version of the packaged PostgreSQL, which cannot open clusters of another version. */
export const MAJOR_VERSION = "16";

/** Time for a leftover server to shut down before it is killed. */
const ORPHAN_STOP_MS = 10_000;

const REMOVE_RETRIES = 100;
const REMOVE_RETRY_DELAY_MS = 50;

// The server does not inherit the environment: PGDATA, PGPORT, PGOPTIONS and locale variables would
// change it. With TZ, initdb does not search for the time zone of the system.
const ENVIRONMENT = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

/** Options to run the PostgreSQL programs with. */
export function programOptions(account: Account | undefined) {
  return { clearEnv: true, env: ENVIRONMENT, stdin: "null", ...runAs(account) } as const;
}

/** Paths of a server: its database cluster, and the files next to it. */
export interface ClusterPaths {
  /** PostgreSQL's data directory. */
  readonly data: string;
  /** Clusters that initdb is creating, one for each attempt. */
  readonly unfinished: string;
  readonly passwordFile: string;
  readonly postmasterPid: string;
  readonly lock: string;
  readonly port: string;
}

export function clusterPaths(directory: string): ClusterPaths {
  return {
    data: join(directory, "data"),
    unfinished: join(directory, "data.unfinished"),
    passwordFile: join(directory, "initdb-password"),
    postmasterPid: join(directory, "data", "postmaster.pid"),
    lock: join(directory, "owner.lock"),
    port: join(directory, "port"),
  };
}

/**
 * Creates the cluster if there is none. initdb runs in another directory that is then renamed, so
 * that `data` is always complete, even if an earlier run was killed.
 *
 * @throws {Error} If initdb fails, or `data` is damaged or of another major version.
 */
export async function ensureCluster(
  paths: ClusterPaths,
  options: {
    readonly binaries: Binaries;
    readonly account: Account | undefined;
    readonly password: string;
    readonly initdbFlags: readonly string[];
  },
): Promise<void> {
  if (await exists(paths.data)) return await checkVersion(paths.data);
  const { binaries, account, password, initdbFlags } = options;
  await removeAttempts(paths.unfinished);
  // Each attempt has a separate directory: an initdb whose parent was killed fails when its files
  // disappear, and then removes the rest.
  const attempt = join(paths.unfinished, crypto.randomUUID());
  await Deno.mkdir(attempt, { recursive: true, mode: 0o700 });
  await removeIfThere(paths.passwordFile);
  await Deno.writeTextFile(paths.passwordFile, password, { mode: 0o600 });
  try {
    if (account !== undefined) {
      await Deno.chown(paths.unfinished, account.uid, account.gid);
      await Deno.chown(attempt, account.uid, account.gid);
      await Deno.chown(paths.passwordFile, account.uid, account.gid);
    }
    const { success, stderr } = await new Deno.Command(binaries.initdb, {
      args: [
        `--pgdata=${attempt}`,
        "--username=postgres",
        `--pwfile=${paths.passwordFile}`,
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions",
        ...initdbFlags,
      ],
      ...programOptions(account),
      stdout: "null",
    }).output();
    if (!success) throw new Error(`initdb failed:\n${new TextDecoder().decode(stderr).trim()}`);
  } finally {
    await removeIfThere(paths.passwordFile);
  }
  await Deno.rename(attempt, paths.data);
  await removeAttempts(paths.unfinished);
}

/**
 * An initdb whose parent was killed can still write there, until it notices that its files are
 * gone.
 */
async function removeAttempts(path: string): Promise<void> {
  for (let retries = REMOVE_RETRIES;; retries--) {
    try {
      return await removeIfThere(path);
    } catch (error) {
      if ((error as { code?: string }).code !== "ENOTEMPTY" || retries === 0) throw error;
      await delay(REMOVE_RETRY_DELAY_MS);
    }
  }
}

/**
 * Cleans up after a crashed run: stops a leftover server, and removes a `postmaster.pid` whose
 * process id now belongs to another program.
 *
 * A leftover server is stopped rather than reused: its log went to the crashed process, and its
 * settings may be outdated. The caller must hold the lock of the directory, so that no running
 * process loses its server.
 */
export async function clearCrashedRun(paths: ClusterPaths, name: string): Promise<void> {
  const processes = await serverProcesses(name);
  const postmaster = processes.find(({ command }) => isPostmaster(command, name));
  if (postmaster !== undefined) {
    for (const { pid } of processes) sendSignal(pid, "SIGCONT"); // they may be frozen
    sendSignal(postmaster.pid, "SIGINT");
    for (let waited = 0; waited < ORPHAN_STOP_MS; waited += 20) {
      if ((await serverProcesses(name)).length === 0) break;
      await delay(20);
    }
  }
  // Backends that outlive their postmaster still write to the same files.
  await killServerProcesses(name);
  await refuseStranger(paths);
  // No process of this cluster is left, so the file is stale. PostgreSQL detects that only if the
  // pid is unused; if another program has the pid, it assumes a running server.
  await removeSharedMemory(paths);
  await removeIfThere(paths.postmasterPid);
}

/** Two servers on one cluster corrupt it, and one that was started elsewhere has another name. */
async function refuseStranger({ data, postmasterPid }: ClusterPaths): Promise<void> {
  const pid = Number((await readTextIfThere(postmasterPid)).split("\n")[0]);
  const holder = (await listProcesses()).find((one) => one.pid === pid);
  if (holder === undefined || !/^\S*\bpostgres\b/.test(holder.command)) return;
  throw new Error(
    `Process ${pid} seems to be a PostgreSQL server on ${data} that was started by another program. ` +
      `Stop it first; if it is not using that directory, remove ${postmasterPid}.`,
  );
}

/**
 * Removes the System V shared memory of a killed server, which the kernel would keep until the next
 * start. Line 7 of postmaster.pid contains its key and id (PostgreSQL's pidfile.h).
 */
export async function removeSharedMemory(paths: ClusterPaths): Promise<void> {
  const lines = (await readTextIfThere(paths.postmasterPid)).split("\n");
  const id = /^\s*\d+\s+(\d+)\s*$/.exec(lines[6] ?? "")?.[1];
  if (id === undefined) return;
  await new Deno.Command("ipcrm", { args: ["-m", id], stdout: "null", stderr: "null" }).output()
    .catch(() => undefined); // no ipcrm: the next start reuses the segment
}

async function checkVersion(data: string): Promise<void> {
  const version = (await readTextIfThere(join(data, "PG_VERSION"))).trim();
  if (version === MAJOR_VERSION) return;
  const found = version === "" ? "has no PG_VERSION file" : `was created by PostgreSQL ${version}`;
  throw new Error(
    `${data} ${found}; this is PostgreSQL ${MAJOR_VERSION}. ` +
      "Move the directory away (pg_dump it first if you need the data); a new one is then created.",
  );
}
