import { readFileSync } from "node:fs";

/** Reads a whole text file, or throws an error with the operating system's `code`, as `node:fs` does. */
export type ReadTextFile = (path: string) => string;

/** Reads a UTF-8 file of this machine. */
export const readTextFileOfDisk: ReadTextFile = (path) => readFileSync(path, "utf8");

/**
 * Reads a file, or reports why that failed and returns `undefined`.
 *
 * The report leaves out the path: people put the secret itself where its path belongs.
 */
export function readTextFileOr(
  path: string,
  readTextFile: ReadTextFile,
  report: (problem: string, error: unknown) => void,
): string | undefined {
  try {
    return readTextFile(path);
  } catch (error) {
    report(`cannot read the file: ${explain(error)}`, error);
    return undefined;
  }
}

/** Whether reading failed because there is no such file. */
export function isNotFound(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}

function explain(error: unknown): string {
  const code = codeOf(error);
  if (code === "ENOENT") return "no such file";
  if (code === "EACCES" || code === "EPERM") return "permission denied";
  if (code === "EISDIR") return "it is a directory";
  if (!(error instanceof Error)) return "unknown error";
  if (error.name === "NotCapable") {
    return "Deno has no read permission; start it with --allow-read=<path>";
  }
  return code ?? error.name;
}

function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}
