import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** A conformance suite of somebody else: a Go program, of the version in `suites/go.mod`. */
export type Suite = "connectconformance" | "h2spec";

/** How a suite ended. */
export interface SuiteResult {
  readonly success: boolean;
  /** Everything that it printed, on both streams. */
  readonly output: string;
}

/** The path of a file beside the tests. */
export function fileHere(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** Why a suite cannot be run; undefined when it can. */
export function whyNoSuite(suite: Suite): string | undefined {
  if (existsSync(programOf(suite))) return undefined;
  return `needs ${suite}, which \`deno task suites\` installs by means of Go`;
}

/** Runs a suite to its end, or until `signal` aborts. */
export async function runSuite(
  suite: Suite,
  args: readonly string[],
  signal: AbortSignal,
): Promise<SuiteResult> {
  const { success, stdout, stderr } = await new Deno.Command(programOf(suite), {
    args: [...args],
    stdin: "null",
    signal,
  }).output();
  const decoder = new TextDecoder();
  return { success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

function programOf(suite: Suite): string {
  const suffix = Deno.build.os === "windows" ? ".exe" : "";
  return fileHere(`suites/bin/${suite}${suffix}`);
}
