/**
 * Says that a living process owns a directory. It is an advisory lock on an open file (flock), so
 * the system drops it however its owner ends; a number in a file would outlive a crash.
 */
export class DirectoryLock {
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** @throws {Error} When another owner, in this process or another one, holds it. */
  static async acquire(path: string): Promise<DirectoryLock> {
    const lock = await DirectoryLock.tryAcquire(path);
    if (lock !== undefined) return lock;
    const owner = (await Deno.readTextFile(path)).trim();
    throw new Error(
      `${path} is held by process ${
        owner || "(unknown)"
      }, which runs a server there. Stop it first.`,
    );
  }

  /** Like {@linkcode acquire}, but gives `undefined` when it is held. */
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
