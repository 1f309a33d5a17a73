import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Secret } from "../../src/config/mod.ts";
import { type Handler, Server } from "../../src/server/mod.ts";
import { testUnless } from "../support/requirement.ts";
import { eventually } from "../support/condition.ts";
import { captureLogger, SERVER_DEFAULTS } from "../support/server.ts";
import { fileHere, runSuite, whyNoSuite } from "./suite.ts";

const MOST_MS = 300_000;

/** How long h2spec waits for what should come. Its failures take all of it, and a busy machine some. */
const TIMEOUT_SECONDS = 4;

/** Fewer have run when h2spec could not connect, or is another version. */
const CASES = 146;

testUnless(
  whyNoSuite("h2spec"),
  "the server conforms to HTTP/2 and HPACK, but for the failures that are known",
  async () => {
    const known = await knownFailing();
    const failures = await Promise.all([failuresOf("cleartext"), failuresOf("tls")]);
    const failed = new Set(failures.flat());
    assert.deepEqual({
      "to mend": [...failed].filter((name) => !known.has(name)),
      "to take out of h2spec_known_failing.txt": [...known].filter((name) => !failed.has(name)),
    }, { "to mend": [], "to take out of h2spec_known_failing.txt": [] });
  },
);

/** Runs all of h2spec against a server with the default settings; the names of what fails. */
async function failuresOf(transport: "cleartext" | "tls"): Promise<string[]> {
  const tls = transport === "tls" ? credentials() : undefined;
  await using server = new Server({
    config: { ...SERVER_DEFAULTS, tls },
    logger: captureLogger().logger,
    routes: () => {},
    pages: new Map([["/", answerAtTheEnd]]),
    readiness: () => ({ ready: true, reason: "" }),
  });
  const { port } = await server.listen();
  const report = await Deno.makeTempFile({ prefix: "treasury-h2spec-", suffix: ".xml" });
  try {
    const { output } = await runSuite("h2spec", [
      "--strict",
      `--host=${SERVER_DEFAULTS.host}`,
      `--port=${port}`,
      `--timeout=${TIMEOUT_SECONDS}`,
      `--junit-report=${report}`,
      ...(tls ? ["--tls", "--insecure"] : []),
    ], AbortSignal.timeout(MOST_MS));
    const cases = parseReport(await Deno.readTextFile(report));
    assert.equal(cases.length, CASES, output);
    const failed = cases.filter(({ hasFailed }) => hasFailed);
    console.log(`h2spec, ${transport}: ${CASES - failed.length} of ${CASES} cases passed`);
    await eventually(() => server.connections === 0, { what: "no connection is held" });
    return failed.map(({ name }) => `${transport}/${name}`);
  } finally {
    await Deno.remove(report);
  }
}

/** An answer that came earlier would close the stream, and what is wrong with its end not matter. */
const answerAtTheEnd: Handler = async ({ body }) => {
  for await (const _chunk of body) { /* Its end is what counts. */ }
  return { status: 200, body: hello() };
};

async function* hello(): AsyncGenerator<Uint8Array> {
  yield new TextEncoder().encode("Hello, world!\n");
}

function credentials(): { cert: string; key: Secret } {
  const read = (name: string) =>
    Deno.readTextFileSync(fileURLToPath(new URL(`../support/tls/${name}`, import.meta.url)));
  return { cert: read("server.pem"), key: new Secret(read("server-key.pem")) };
}

/** Reads a report of JUnit's form. It is no XML: what came over the wire is in it as it came. */
function parseReport(report: string): { name: string; hasFailed: boolean }[] {
  const cases = report.matchAll(
    /<testcase package="([^"]*)" classname="([^"]*)" time="[^"]*">(.*?)<\/testcase>/gs,
  );
  return [...cases].map(([, section, title, result]) => ({
    name: `${section}: ${title!.replaceAll("&#34;", '"')}`,
    hasFailed: result !== "",
  }));
}

/** The names in the list of known failures. */
async function knownFailing(): Promise<ReadonlySet<string>> {
  const lines = (await Deno.readTextFile(fileHere("h2spec_known_failing.txt"))).split("\n");
  return new Set(lines.filter((line) => line !== "" && !line.startsWith("#")));
}
