/**
 * Which Deno versions are safe in production.
 *
 * The service uses `node:http2`, which has one of two bugs in every Deno version:
 *
 * - before 2.9.4, closed sessions are never released. Of 1,000 sessions of a bare server, alive
 *   after a forced garbage collection: 1,000 on 2.7.14, 2.8.3, 2.9.0 and 2.9.3; none on 2.9.4 and
 *   2.9.6. With the calls of this service that is 20 to 60 KB for each closed connection;
 * - since 2.9.4, a GOAWAY of a client can abort the process (denoland/deno issue 36788).
 *   `src/server` prevents this: it drops the frame before `node:http2` sees it.
 *
 * `deno task bench:runtime --deno X.Y.Z` tests whether a version has one of them.
 *
 * @module
 */

/** The first version that releases closed HTTP/2 sessions. */
export const FIRST_WITHOUT_LEAK = "2.9.4";

/** The newest tested version, and the version that the project uses; set by `deno task pin`. */
export const NEWEST_TRIED = "2.9.6";

/**
 * `safe`: neither leaks nor crashes in the benchmark. `leaks`: each closed HTTP/2 connection stays
 * in memory. `untried`: not tested.
 */
export type RuntimeSafety = "safe" | "leaks" | "untried";

/** The assessment of one version of Deno. */
export interface Runtime {
  /** As in `Deno.version.deno`, such as 2.9.6. */
  readonly version: string;
  readonly safety: RuntimeSafety;
  /** What is wrong and what to do; undefined for a safe version. */
  readonly advice: string | undefined;
}

/** Assesses a version of Deno, such as `Deno.version.deno`. An unparsable version is `untried`. */
export function judgeRuntime(version: string): Runtime {
  const safety = safetyOf(version);
  return { version, safety, advice: ADVICE[safety]?.(version) };
}

const USE_PINNED =
  `use Deno ${NEWEST_TRIED}, for example with \`npx -y deno@${NEWEST_TRIED} task start\``;

const ADVICE: Readonly<Record<RuntimeSafety, ((version: string) => string) | undefined>> = {
  safe: undefined,
  leaks: (version) =>
    `Deno ${version} leaks 20 to 60 KB of memory for each closed HTTP/2 connection, and probes ` +
    `open new ones all the time: ${USE_PINNED}`,
  untried: (version) =>
    `This service has not been tested on Deno ${version}, which may leak memory or crash when ` +
    `HTTP/2 clients disconnect: ${USE_PINNED}, or test yours with \`deno task bench:runtime --deno ${version}\``,
};

/** A canary or a release candidate (2.9.6+a1b2c3d, 2.9.6-rc.1) contains unreleased code. */
const VERSION = /^(?<release>\d+\.\d+\.\d+)(?<suffix>.*)$/;

function safetyOf(version: string): RuntimeSafety {
  const { release, suffix } = VERSION.exec(version)?.groups ?? {};
  if (release === undefined) return "untried";
  if (compare(release, FIRST_WITHOUT_LEAK) < 0) return "leaks";
  return suffix === "" && compare(release, NEWEST_TRIED) <= 0 ? "safe" : "untried";
}

/** Negative if `a` is older than `b`, 0 if they are equal. */
function compare(a: string, b: string): number {
  const [left, right] = [a.split(".").map(Number), b.split(".").map(Number)];
  for (const [index, part] of left.entries()) {
    const difference = part - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
