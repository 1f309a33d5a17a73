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

/** The major version of the packaged PostgreSQL; a cluster of another one cannot be opened. */
export const MAJOR_VERSION = "16";

/** Server time for a polite stop of a leftover server before it is killed. */
const ORPHAN_STOP_MS = 10_000;

const REMOVE_RETRIES = 100;
const REMOVE_RETRY_DELAY_MS = 50;

// The server gets nothing of the caller's environment: PGDATA, PGPORT, PGOPTIONS and locale
// variables would change it. TZ saves initdb the search for the system's time zone.
const ENVIRONMENT = { PATH: "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };

/** How every PostgreSQL program is started. */
export function programOptions(account: Account | undefined) {
  return { clearEnv: true, env: ENVIRONMENT, stdin: "null", ...runAs(account) } as const;
}

/** Where a server's files are: a database cluster (PostgreSQL's word) and what we keep beside it. */
export interface ClusterPaths {
  /** PostgreSQL's data directory. */
  readonly data: string;
  /** Clusters while initdb works on them, one for each attempt. */
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
 * Makes the cluster if there is none. initdb works under another name and the result is renamed,
 * so a `data` directory is always a whole one, whenever an earlier run was killed.
 *
 * @throws {Error} When initdb fails, or `data` is of another major version or damaged.
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
  // Each attempt has a directory of its own: an initdb that has outlived its owner fails when its
  // files go, and then clears up after itself.
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

/** An initdb without an owner can still write there, until it finds that its files are gone. */
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
 * Clears what a crashed run left: a server without an owner is stopped, and a `postmaster.pid`
 * whose number now belongs to some other program is removed.
 *
 * A leftover server is stopped, not adopted: its log went to the dead owner, and its settings may
 * be old. The caller must hold the directory's lock, so no living owner loses its server.
 */
export async function clearCrashedRun(paths: ClusterPaths, name: string): Promise<void> {
  const processes = await serverProcesses(name);
  const postmaster = processes.find(({ command }) => isPostmaster(command, name));
  if (postmaster !== undefined) {
    for (const { pid } of processes) sendSignal(pid, "SIGCONT"); // they may have been frozen
    sendSignal(postmaster.pid, "SIGINT");
    for (let waited = 0; waited < ORPHAN_STOP_MS; waited += 20) {
      if ((await serverProcesses(name)).length === 0) break;
      await delay(20);
    }
  }
  // Backends that outlived their postmaster still write to the same files.
  await killServerProcesses(name);
  await refuseStranger(paths);
  // No process of this cluster is left, so the file is stale. PostgreSQL finds that out by itself
  // when the pid is free, but takes a pid that was given to another program for a running server.
  await removeSharedMemory(paths);
  await removeIfThere(paths.postmasterPid);
}

/** Two servers on one cluster destroy it, and one that we did not start has another name. */
async function refuseStranger({ data, postmasterPid }: ClusterPaths): Promise<void> {
  const pid = Number((await readTextIfThere(postmasterPid)).split("\n")[0]);
  const holder = (await listProcesses()).find((one) => one.pid === pid);
  if (holder === undefined || !/^\S*\bpostgres\b/.test(holder.command)) return;
  throw new Error(
    `Process ${pid} seems to be a PostgreSQL server on ${data} that was not started from here. ` +
      `Stop it first; if it has nothing to do with that directory, remove ${postmasterPid}.`,
  );
}

/**
 * Frees the System V segment of a server that was killed; the kernel would keep it until the next
 * start on the same cluster. Line 7 of postmaster.pid is its key and id (PostgreSQL's pidfile.h).
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
  const found = version === "" ? "has no PG_VERSION file" : `was made by PostgreSQL ${version}`;
  throw new Error(
    `${data} ${found}; this is PostgreSQL ${MAJOR_VERSION}. ` +
      "Move the directory away (pg_dump it first if you need the data); a new one is then made.",
  );
}
