/** Reads a whole text file, or throws as `Deno.readTextFileSync` does. */
export type ReadTextFile = (path: string) => string;

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
    report(`the file cannot be read: ${explain(error)}`, error);
    return undefined;
  }
}

function explain(error: unknown): string {
  if (error instanceof Deno.errors.NotFound) return "there is none at this path";
  if (error instanceof Deno.errors.PermissionDenied) return "its permissions do not allow it";
  if (error instanceof Deno.errors.NotCapable) {
    return "Deno runs without permission for it; start it with --allow-read=<path>";
  }
  return error instanceof Error ? error.name : "unknown error";
}
