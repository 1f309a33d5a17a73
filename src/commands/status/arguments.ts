import { parseArgs } from "node:util";

export const USAGE = `Usage: deno task status [--watch] [--json] [URL]

Asks a running service how it and its dependencies are doing.

  URL      where it serves; default http://localhost:8080
  --watch  stay and follow every change, until Ctrl-C
  --json   print the answer as JSON; with --watch, one line for each change

Exit codes, as monitoring plugins have them: 0 HEALTHY, 1 DEGRADED, 2 UNHEALTHY,
3 unknown (no answer, or wrong arguments); 130 after Ctrl-C.

Colors are for terminals only; NO_COLOR turns them off. For a service whose certificate a private
authority signed, DENO_CERT names the file of that authority.`;

/** What was asked for. */
export interface StatusArguments {
  readonly url: string;
  readonly watch: boolean;
  readonly json: boolean;
  readonly help: boolean;
}

const DEFAULT_URL = "http://localhost:8080";

/** @throws {TypeError} Says which argument is wrong. */
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
  if (more.length > 0) throw new TypeError(`one URL is enough: ${more.join(" ")}`);
  return { ...values, url: readUrl(url) };
}

function readUrl(text: string): string {
  const url = URL.parse(text.includes("://") ? text : `http://${text}`);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError(`${text} is no URL of a service; an example is ${DEFAULT_URL}`);
  }
  return url.href.replace(/\/$/, "");
}
