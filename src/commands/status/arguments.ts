import { parseArgs } from "node:util";

export const USAGE = `Usage: deno task status [--watch] [--json] [URL]

Shows the health of a running service and its dependencies.

  URL      address of the service; default: http://localhost:8080
  --watch  keep running and show every change, until Ctrl-C
  --json   print the health as JSON; with --watch, one line for each change

Exit codes, as for monitoring plugins: 0 HEALTHY, 1 DEGRADED, 2 UNHEALTHY,
3 unknown (no response, or wrong arguments); 130 after Ctrl-C.

Output is colored only on a terminal; NO_COLOR disables colors. If a private CA has signed the
certificate of the service, set DENO_CERT to the file of that CA.`;

/** The parsed command line of `deno task status`. */
export interface StatusArguments {
  readonly url: string;
  readonly watch: boolean;
  readonly json: boolean;
  readonly help: boolean;
}

const DEFAULT_URL = "http://localhost:8080";

/**
 * Parses the arguments of `deno task status`.
 *
 * @throws {TypeError} If an argument is not valid; the message names it.
 */
export function readArguments(args: readonly string[]): StatusArguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      watch: { type: "boolean", short: "w", default: false },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [url = DEFAULT_URL, ...more] = positionals;
  if (more.length > 0) throw new TypeError(`only one URL is allowed: ${more.join(" ")}`);
  return { ...values, url: readUrl(url) };
}

function readUrl(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`${text} is not the URL of a service, such as ${DEFAULT_URL}`);
  }
  return url.href.replace(/\/$/, "");
}
