/**
 * Which versions of Deno this service may run on for months.
 *
 * Its HTTP/2 is Deno's `node:http2`, and there every version has had one of two faults:
 *
 * - below 2.9.4, a session that has closed is never released. Alive after a forced GC, of 1,000 on a
 *   bare server: 2.7.14, 2.8.3, 2.9.0 and 2.9.3: 1,000; 2.9.4 and 2.9.6: 0. With this service's
 *   calls that is 20 to 60 KB for each closed connection;
 * - from 2.9.4 on, a client's GOAWAY can abort the process (denoland/deno issue 36788). That one is
 *   harmless here, because `src/server` drops the frame before `node:http2` sees it.
 *
 * `deno task bench:runtime --deno X.Y.Z` tells whether another version has either of them.
 *
 * @module
 */

/** The first version that releases closed HTTP/2 sessions. */
export const FIRST_WITHOUT_LEAK = "2.9.4";

/** The newest version that was tried, and the one that the project uses: `deno task pin` sets it. */
export const NEWEST_TRIED = "2.9.6";

/**
 * `safe`: neither leaks nor dies, as far as it was measured. `leaks`: each closed HTTP/2 connection
 * stays in memory. `untried`: nobody has measured it.
 */
export type RuntimeSafety = "safe" | "leaks" | "untried";

/** What is known of one version of Deno. */
export interface Runtime {
  /** As Deno tells it, such as 2.9.6. */
  readonly version: string;
  readonly safety: RuntimeSafety;
  /** What is wrong and what to do, for an operator; undefined for a version that is safe. */
  readonly advice: string | undefined;
}

/** Judges a version of Deno, such as `Deno.version.deno`. One that cannot be read is untried. */
export function judgeRuntime(version: string): Runtime {
  const safety = safetyOf(version);
  return { version, safety, advice: ADVICE[safety]?.(version) };
}

const USE_PINNED =
  `use Deno ${NEWEST_TRIED}, for example by \`npx -y deno@${NEWEST_TRIED} task start\``;

const ADVICE: Readonly<Record<RuntimeSafety, ((version: string) => string) | undefined>> = {
  safe: undefined,
  leaks: (version) =>
    `Deno ${version} keeps 20 to 60 KB of memory for each HTTP/2 connection that has closed, and ` +
    `probes open new ones all the time: ${USE_PINNED}`,
  untried: (version) =>
    `Nobody has tried this service on Deno ${version}, which may leak memory or crash when HTTP/2 ` +
    `clients leave: ${USE_PINNED}, or try yours by \`deno task bench:runtime --deno ${version}\``,
};

/** A canary or a release candidate (2.9.6+a1b2c3d, 2.9.6-rc.1) has code that no release has. */
const VERSION = /^(?<release>\d+\.\d+\.\d+)(?<suffix>.*)$/;

function safetyOf(version: string): RuntimeSafety {
  const { release, suffix } = VERSION.exec(version)?.groups ?? {};
  if (release === undefined) return "untried";
  if (compare(release, FIRST_WITHOUT_LEAK) < 0) return "leaks";
  return suffix === "" && compare(release, NEWEST_TRIED) <= 0 ? "safe" : "untried";
}

/** Negative when `a` is the older one of two releases, 0 when they are the same. */
function compare(a: string, b: string): number {
  const [left, right] = [a.split(".").map(Number), b.split(".").map(Number)];
  for (const [index, part] of left.entries()) {
    const difference = part - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
