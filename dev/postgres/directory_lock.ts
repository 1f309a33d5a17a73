/**
 * Locks a directory for one process. An advisory lock on an open file (flock), which the system
 * releases when the process ends, even by a crash.
 */
export class DirectoryLock {
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** @throws {Error} If it is already locked, by this process or another one. */
  static async acquire(path: string): Promise<DirectoryLock> {
    const lock = await DirectoryLock.tryAcquire(path);
    if (lock !== undefined) return lock;
    const owner = (await Deno.readTextFile(path)).trim();
    throw new Error(
      `${path} is locked by process ${
        owner || "(unknown)"
      }, which runs a server there. Stop it first.`,
    );
  }

  /** Like {@linkcode acquire}, but returns `undefined` if it is already locked. */
  static async tryAcquire(path: string): Promise<DirectoryLock | undefined> {
    const file = await Deno.open(path, { create: true, read: true, write: true, mode: 0o600 });
    if (!await file.tryLock(true)) {
      file.close();
      return undefined;
    }
    await file.truncate();
    await file.write(new TextEncoder().encode(`${Deno.pid}\n`)); // for the message above
    return new DirectoryLock(file);
  }

  release(): void {
    this.#file.close();
  }
}
