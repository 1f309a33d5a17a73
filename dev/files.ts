import { lstat, readFile, rm } from "node:fs/promises";

/** Returns the text of a file, or "" if it does not exist. */
export async function readTextIfThere(path: string): Promise<string> {
  return await readFile(path, "utf8").catch((error) => {
    if (error.code === "ENOENT") return "";
    throw error;
  });
}

/** Removes a file, or a directory with its content, if it exists. */
export async function removeIfThere(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** Writes a file that only its owner can read. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, text, { mode: 0o600 });
  await Deno.chmod(path, 0o600); // the mode above applies only to new files
}

export async function exists(path: string): Promise<boolean> {
  return await lstat(path).then(() => true, (error) => {
    if (error.code === "ENOENT") return false;
    throw error;
  });
}
