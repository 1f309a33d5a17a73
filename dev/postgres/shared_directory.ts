import { createHash } from "node:crypto";
import { lstat, mkdir } from "node:fs/promises";

/**
 * A directory for root that other accounts can enter, one for each `origin` path; used when
 * `origin` itself is closed to the account that PostgreSQL runs as.
 *
 * /var/tmp is kept over a restart of the machine, and everyone can write there: a directory
 * of that name which another user made is refused.
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
