import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Where packages put programs that the PATH of an ordinary user does not have. */
const FOLDERS = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/opt/homebrew/bin"];

/**
 * Declares a test that not every machine can run. Where there is a problem it is ignored, and its
 * name says why, so that the run prints it.
 *
 * ```ts
 * testUnless(whyNoSmallDisk(), "a full disk fails writes", async () => { … });
 * ```
 */
export function testUnless(
  problem: string | undefined,
  name: string,
  fn: (t: Deno.TestContext) => void | Promise<void>,
): void {
  const isIgnored = problem !== undefined;
  Deno.test({ name: isIgnored ? `${name} (ignored: ${problem})` : name, ignore: isIgnored, fn });
}

/** The path of a program on this machine; undefined when it is not there. */
export function findProgram(name: string): string | undefined {
  const folders = [...(Deno.env.get("PATH") ?? "").split(delimiter), ...FOLDERS];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Why a test cannot use the program; undefined when it can. */
export function whyNoProgram(name: string, debianPackage: string): string | undefined {
  if (findProgram(name) !== undefined) return undefined;
  return `needs ${name}, as in Debian's package ${debianPackage}`;
}

/** Why a test cannot be root; undefined when it is. */
export function whyNotRoot(): string | undefined {
  return Deno.uid() === 0 ? undefined : "needs root";
}
