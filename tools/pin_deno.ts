/**
 * `deno task pin X.Y.Z` changes the Deno version of this project in every file that contains it.
 * The version is defined in `.tool-versions`, which asdf, mise and setup-deno also read;
 * `tests/unit/tools/pin_deno_test.ts` verifies that all other files match.
 *
 * Test the version first, with `deno task bench:runtime --deno X.Y.Z`.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { FIRST_WITHOUT_LEAK, judgeRuntime } from "../src/runtime.ts";

/** File that defines the version. */
export const PIN_FILE = ".tool-versions";

const VERSION = String.raw`(?<version>\d+\.\d+\.\d+)`;

/** Patterns of the Deno version to use, in any file. */
const INSTRUCTIONS = [
  String.raw`\bdeno@${VERSION}`, // npx
  String.raw`\bdenoland\/deno:(?:[a-z]+-)?${VERSION}`, // the image, and its variants
  String.raw`\b(?:DENO_VERSION|NEWEST_TRIED)\s*[:?]?=\s*["']?${VERSION}`, // make, shell, src/runtime.ts
  String.raw`\bdeno-version:\s*["']?v?${VERSION}`, // CI's set-up step
];
/** `.tool-versions` */
const PIN = String.raw`^deno ${VERSION}$`;
/**
 * In prose, which may wrap; of `Deno 2.9.4 to 2.9.6` the last version. Only in documents: a comment
 * in code names the version that something was measured on, which does not change.
 */
const PROSE = String.raw`\bDeno(?:\]\([^)]*\))?\s+(?:\d+\.\d+\.\d+\s+to\s+)?${VERSION}`;

/** Documents that record measurements of a version, with the reason. */
const RECORDS: ReadonlyMap<string, string> = new Map([
  ["docs/benchmarks.md", "each record names its version"],
]);
/** Versions that any document may name, because they are boundaries. */
const BOUNDARIES: readonly string[] = [FIRST_WITHOUT_LEAK];

/** A place that names the Deno version to use. */
export interface Mention {
  /** Path from the root, and line. */
  readonly place: string;
  readonly version: string;
  /** Offsets of the version in the text. */
  readonly start: number;
  readonly end: number;
}

/** Finds the places in a file that name the Deno version to use. */
export function mentionsIn(path: string, text: string): Mention[] {
  if (RECORDS.has(path)) return [];
  const forms = [...INSTRUCTIONS];
  if (path === PIN_FILE) forms.push(PIN);
  if (path.endsWith(".md")) forms.push(PROSE);
  const found = forms.flatMap((form) => [...text.matchAll(new RegExp(form, "dgm"))]);
  return found.map(({ indices }) => {
    const [start, end] = indices!.groups!.version!;
    const line = text.slice(0, start).split("\n").length;
    return { place: `${path}:${line}`, version: text.slice(start, end), start, end };
  }).filter(({ version }) => !BOUNDARIES.includes(version)).sort((a, b) => a.start - b.start);
}

/** Replaces `from` by `to` in each place that names the Deno version to use. */
export function repin(path: string, text: string, from: string, to: string): string {
  return mentionsIn(path, text)
    .filter(({ version }) => version === from)
    .reduceRight(
      (changed, { start, end }) => changed.slice(0, start) + to + changed.slice(end),
      text,
    );
}

/**
 * Yields path, from the root, and content of each text file that is tracked by Git or untracked.
 */
export async function* projectTexts(root: string): AsyncGenerator<readonly [string, string]> {
  const args = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const { success, stdout } = await new Deno.Command("git", { args, cwd: root, stderr: "inherit" })
    .output();
  if (!success) throw new Error(`git cannot list the files of ${root}`);
  const paths = new TextDecoder().decode(stdout).split("\0").filter((path) => path !== "");
  for (const path of new Set(paths)) {
    const content = await contentOf(join(root, path));
    if (content !== undefined) yield [path, content];
  }
}

/** Undefined for binary files, links to folders, and deleted files that are still listed. */
async function contentOf(path: string): Promise<string | undefined> {
  try {
    const content = await Deno.readTextFile(path);
    return content.includes("\0") ? undefined : content;
  } catch (error) {
    const { NotFound, IsADirectory } = Deno.errors;
    if (error instanceof NotFound || error instanceof IsADirectory) return undefined;
    throw error;
  }
}

/** Returns the Deno version of the project. */
export async function pinnedVersion(root: string): Promise<string> {
  const [pin] = mentionsIn(PIN_FILE, await Deno.readTextFile(join(root, PIN_FILE)));
  if (pin === undefined) throw new Error(`${PIN_FILE} has no line such as "deno 2.9.6"`);
  return pin.version;
}

/**
 * Sets the Deno version of the project.
 *
 * @returns The changed files, from the root.
 * @throws {RangeError} If `to` is not a version, or a version that leaks.
 */
export async function pin(root: string, to: string): Promise<string[]> {
  if (!new RegExp(`^${VERSION}$`).test(to)) {
    throw new RangeError(`"${to}" is not a version: deno task pin X.Y.Z`);
  }
  const { safety, advice } = judgeRuntime(to);
  if (safety === "leaks") throw new RangeError(advice);
  const from = await pinnedVersion(root);
  const changed: string[] = [];
  for await (const [path, text] of projectTexts(root)) {
    const repinned = repin(path, text, from, to);
    if (repinned === text) continue;
    await Deno.writeTextFile(join(root, path), repinned);
    changed.push(path);
  }
  return changed;
}

async function main([to = ""]: readonly string[]): Promise<number> {
  try {
    const changed = await pin(fileURLToPath(new URL("..", import.meta.url)), to);
    console.log(changed.length === 0 ? `${to} is already pinned.` : changed.join("\n"));
    return 0;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.error(error.message);
    return 2;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
