import { createHash } from "node:crypto";
import { lstat, mkdir } from "node:fs/promises";

/**
 * Creates a directory for root that other accounts can access, one for each `origin` path; used if
 * the account that runs PostgreSQL has no access to `origin` itself.
 *
 * /var/tmp is kept when the machine restarts, and everyone can write there, so a directory with
 * that name of another user is refused.
 *
 * @throws {Error} If the directory belongs to another user or is writable by others.
 */
export async function sharedDirectory(origin: string): Promise<string> {
  const hash = createHash("sha256").update(origin).digest("hex").slice(0, 12);
  const path = `/var/tmp/treasury-postgres-${hash}`;
  await mkdir(path, { mode: 0o755 }).catch((error) => {
    if (error.code !== "EEXIST") throw error;
  });
  const info = await lstat(path);
  if (!info.isDirectory() || info.uid !== 0 || (info.mode & 0o022) !== 0) {
    throw new Error(`${path} belongs to another user or is writable by others. Remove it.`);
  }
  await Deno.chmod(path, 0o755);
  return path;
}
