/**
 * Tells in under five minutes whether a version of Deno is safe for this service: whether its
 * HTTP/2 server leaks closed connections (as Deno up to 2.9.3 does), and whether it crashes when
 * clients disconnect (as from 2.9.4 on without a guard; denoland/deno issue 36788). Tests both a
 * bare `node:http2` server and the transport of this service, which has the guard.
 *
 *     deno task bench:runtime --deno 2.9.7
 *     deno task bench:runtime --deno /path/to/deno [--processes 10] [--connections 2000]
 *
 * The last line is the verdict. Fails if this service leaks or crashes on that Deno. A version is
 * installed from npm, with `npx deno@VERSION`.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { churnTrial } from "./churn_trial.ts";
import { SILENT_LEAVERS, WATCHERS } from "./connection_kinds.ts";
import { measureGrowth } from "./connection_growth.ts";
import { versionOf } from "./load.ts";
import { bareDeno, type Contender, own } from "./transport_contenders.ts";

/** The smallest known leak is 5 KB of heap for each connection. */
const LEAK_HEAP_KB = 2;
/** Sessions that are alive although their connections have closed, as a fraction of all. */
const LEAK_SESSIONS = 0.1;

const { values } = parseArgs({
  options: {
    deno: { type: "string", default: Deno.execPath() },
    processes: { type: "string", default: "10" },
    connections: { type: "string", default: "2000" },
  },
});
const processes = Number(values.processes);
const connections = Number(values.connections);
const deno = await programOf(values.deno);
const version = (await versionOf(deno))?.split(" ")[1];
if (version === undefined) fail(`${deno} is not a Deno program, or does not exist.`);
const h2load = await versionOf("h2load") !== undefined;
console.log(`Testing Deno ${version}${h2load ? "" : "; h2load is not installed (recommended)"}.`);

const [bare, product] = [bareDeno(deno), own(deno)];
const leaks = { bare: await leaksOn(bare), product: await leaksOn(product) };
const deaths = { bare: await deathsOf(bare, 3), product: await deathsOf(product, 2) };
console.log(`\n${version}: ${verdict()}`);
Deno.exit(leaks.product || deaths.product > 0 ? 1 : 0);

function verdict(): string {
  const leak = leaks.bare || leaks.product
    ? `leaks (${leaks.bare ? "a bare server too" : "this service only"})`
    : "does not leak";
  const without = deaths.bare > 0
    ? `dies without the frame guard (${deaths.bare} of ${processes})`
    : `does not die without the frame guard (0 of ${processes})`;
  const guarded = deaths.product > 0
    ? `dies with it (${deaths.product} of ${processes})`
    : "safe with it";
  return `${leak}; ${without}; ${guarded}`;
}

/** Uses clients that send no GOAWAY and abandon calls, which crashes no known version. */
async function leaksOn(contender: Contender): Promise<boolean> {
  let found = false;
  for (const kind of [SILENT_LEAVERS, WATCHERS]) {
    const { heapKb, rssKb, sessions, death } = await measureGrowth(contender, kind, {
      connections,
      warmUp: Math.ceil(connections / 4),
      samples: 5,
      target: { ca: undefined },
    });
    const isLeak = heapKb > LEAK_HEAP_KB || sessions > LEAK_SESSIONS * connections;
    found ||= isLeak;
    const end = death ? `; died after ${death.after}` : "";
    const alive = Number.isNaN(sessions) ? "" : `, ${sessions} sessions alive`;
    console.log(
      `${contender.name}, ${kind.title}: ${heapKb.toFixed(2)} KB of heap and ` +
        `${rssKb.toFixed(2)} KB of RSS for each closed connection${alive}${end}`,
    );
  }
  return found;
}

/** A bare server completes a round several times as fast. */
async function deathsOf(contender: Contender, rounds: number): Promise<number> {
  let dead = 0;
  for (let trial = 1; trial <= processes; trial++) {
    const death = await churnTrial(contender, { rounds, h2load });
    if (death === undefined) continue;
    dead++;
    console.log(`${contender.name} ${trial} died, exit code ${death.code}: ${death.lastWords}`);
  }
  return dead;
}

/** A path is used as it is; a version is installed, and its program found. */
async function programOf(nameOrPath: string): Promise<string> {
  if (!/^\d+\.\d+\.\d+/.test(nameOrPath)) return nameOrPath;
  const { success, stdout, stderr } = await new Deno.Command("npx", {
    args: ["-y", `deno@${nameOrPath}`, "eval", "console.log(Deno.execPath())"],
  }).output();
  if (!success) fail(`Cannot install Deno ${nameOrPath}:\n${new TextDecoder().decode(stderr)}`);
  return new TextDecoder().decode(stdout).trim();
}

function fail(message: string): never {
  console.error(message);
  Deno.exit(1);
}
