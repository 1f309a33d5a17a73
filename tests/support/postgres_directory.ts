import { lstat, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { exists, removeIfThere } from "../../dev/files.ts";
import { clusterPaths, removeSharedMemory } from "../../dev/postgres/cluster.ts";
import { DirectoryLock } from "../../dev/postgres/directory_lock.ts";
import { killServerProcesses, listProcesses, sendSignal } from "../../dev/postgres/processes.ts";

/** Begins the name of every directory and every server (`cluster_name`) that tests make. */
export const TEST_PREFIX = "treasury-test-";

// Between the making of a directory and its lock nothing says that it has an owner.
const UNLOCKED_GRACE_MS = 60_000;

/** A temporary directory for one server, locked as long as its test lives. */
export class TestDirectory implements AsyncDisposable {
  readonly path: string;
  /** A server name that leads back to this directory. */
  readonly serverName: string;
  readonly #lock: DirectoryLock;

  private constructor(path: string, lock: DirectoryLock) {
    this.path = path;
    this.serverName = basename(path);
    this.#lock = lock;
  }

  static async make(): Promise<TestDirectory> {
    const path = await Deno.makeTempDir({ prefix: TEST_PREFIX });
    await Deno.chmod(path, 0o755); // as root, the server runs as another account
    return new TestDirectory(path, await DirectoryLock.acquire(lockOf(path)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await clearDirectory(this.path);
    this.#lock.release();
  }
}

/** Test directories whose owner has ended without clearing up. */
export async function abandonedDirectories(graceMs = UNLOCKED_GRACE_MS): Promise<string[]> {
  const names = (await readdir(tmpdir())).filter((name) => name.startsWith(TEST_PREFIX));
  const abandoned: string[] = [];
  for (const path of names.map((name) => join(tmpdir(), name))) {
    if (await isAbandoned(path, graceMs)) abandoned.push(path);
  }
  return abandoned;
}

/** Clears what test runs that were killed have left. Living runs beside this one are not touched. */
export async function clearAbandonedDirectories(): Promise<void> {
  for (const path of await abandonedDirectories()) await clearDirectory(path);
}

/** Whether a living test process, or another user, owns the directory. */
export async function isOwned(path: string): Promise<boolean> {
  try {
    if (!await exists(lockOf(path))) return false;
    const lock = await DirectoryLock.tryAcquire(lockOf(path));
    lock?.release();
    return lock === undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false; // removed in the meantime
    if (error instanceof Deno.errors.PermissionDenied) return true;
    throw error;
  }
}

async function clearDirectory(path: string): Promise<void> {
  const name = basename(path);
  await killServerProcesses(name);
  for (const { pid, command } of await listProcesses()) {
    if (command.includes(name)) sendSignal(pid, "SIGKILL");
  }
  await removeSharedMemory(clusterPaths(path));
  await removeIfThere(path);
}

async function isAbandoned(path: string, graceMs: number): Promise<boolean> {
  const info = await lstat(path).catch(() => undefined);
  if (info === undefined || Date.now() - info.mtimeMs < graceMs) return false;
  return !await isOwned(path) && await exists(path);
}

function lockOf(path: string): string {
  return join(path, "test.lock");
}
