import { lstat, readFile, rm } from "node:fs/promises";

/** The text of a file, or "" when there is no such file. */
export async function readTextIfThere(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((error) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
}

/** Removes a file, or a directory with all that is in it. */
export async function removeIfThere(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** Writes a file that only its owner can read. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, text, { mode: 0o600 });
  await Deno.chmod(path, 0o600); // the mode above is for a new file only
}

export async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(() => true, (error) => {
    if (error.code === "ENOENT") return false;
    throw error;
  });
}
