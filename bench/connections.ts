/**
 * Measures what a server retains of closed connections: heap and resident memory after a garbage
 * collection, for every kind of client, in cleartext and over TLS, compared with a bare
 * `node:http2` server on the same Deno and on Node.js.
 *
 * Each kind has a fresh server, and a warm-up. The result is the median slope of the later samples,
 * so that neither filling caches nor a noisy sample affect it. If a server dies, the number of
 * connections until then is reported. The last measurement is a day of Kubernetes' gRPC probes.
 *
 *     deno task bench:connections [--connections 20000] [--servers own,deno,node]
 *     deno task bench:connections --kind GOAWAY --servers own
 *     deno task bench:connections --kind "a day of probes"
 *     deno task bench:connections --short
 *
 * Fails if this service retains more than 0.05 KB of heap or 0.2 KB of resident memory, or dies.
 * `--short` measures only this service, in a minute, and allows 2 KB of heap, which tolerates noise
 * but not a leak: Deno up to 2.9.3 retains 5 to 40 KB for each.
 *
 * @module
 */
import { parseArgs } from "node:util";
import {
  CONNECTION_KINDS,
  type ConnectionKind,
  PROBES,
  SILENT_LEAVERS,
} from "./connection_kinds.ts";
import { type Growth, measureGrowth } from "./connection_growth.ts";
import { type Contender, contenders } from "./transport_contenders.ts";

/** Three probes every 10 s for a day. */
const DAY_OF_PROBES = 25_920;
const DAY_TITLE = "a day of probes";
const SHORT_CONNECTIONS = 400;
/**
 * What this service may retain of a closed connection, in KB. The smallest known leak is 5 KB of
 * heap. Resident memory always grows by megabytes at first, so it takes thousands of connections to
 * distinguish that from a leak.
 */
const MOST = {
  short: { heapKb: 2, rssKb: Infinity },
  long: { heapKb: 0.05, rssKb: 0.2 },
};
const SHORT_TLS_KINDS = [PROBES, SILENT_LEAVERS];

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "20000" },
    servers: { type: "string", default: "own,deno,node" },
    kind: { type: "string", default: "" },
    short: { type: "boolean", default: false },
  },
});
const connections = values.short ? SHORT_CONNECTIONS : Number(values.connections);
const servers = await contenders(values.short ? "own" : values.servers);
const kinds = CONNECTION_KINDS.filter(({ title }) => title.includes(values.kind));
const ca = await Deno.readTextFile(new URL("../tests/support/tls/ca.pem", import.meta.url));
const missed: string[] = [];

console.log(`Deno ${Deno.version.deno}; ${connections} connections of each kind at full speed.`);
for (const [scheme, authority] of [["cleartext", undefined], ["TLS", ca]] as const) {
  if (kinds.length === 0) break;
  console.log(`\n${scheme}, KB for each closed connection: heap / RSS\n`);
  printRow("connection", ...servers.map(({ name }) => name));
  printRow(...Array.from({ length: servers.length + 1 }, () => "---"));
  // TLS does not affect much what HTTP/2 sessions retain.
  const shown = values.short && authority ? SHORT_TLS_KINDS : kinds;
  for (const kind of shown) {
    const cells: string[] = [];
    for (const server of servers) {
      const growth = await measure(server, kind, connections, authority);
      judge(server, `${kind.title}, ${scheme}`, growth);
      cells.push(describe(growth));
    }
    printRow(kind.title, ...cells);
  }
}
if (!values.short && DAY_TITLE.includes(values.kind)) await measureDay();
if (missed.length > 0) {
  console.error(`\nLeaks or deaths of this service:\n${missed.join("\n")}`);
  Deno.exit(1);
}

/** A day of probes must not increase resident memory. */
async function measureDay(): Promise<void> {
  console.log(`\nA day of gRPC probes (${DAY_OF_PROBES} connections) at full speed\n`);
  printRow("server", "RSS before, MB", "RSS after, MB", "KB each: heap / RSS");
  printRow("---", "---", "---", "---");
  for (const server of servers) {
    const growth = await measure(server, PROBES, DAY_OF_PROBES, undefined);
    judge(server, DAY_TITLE, growth);
    printRow(server.name, ...growth.rssMb.map((mb) => mb.toFixed(1)), describe(growth));
  }
}

function measure(
  server: Contender,
  kind: ConnectionKind,
  count: number,
  authority: string | undefined,
): Promise<Growth> {
  return measureGrowth(server, kind, {
    connections: count,
    warmUp: Math.min(2_000, Math.ceil(count / 4)),
    samples: values.short ? 4 : 10,
    target: { ca: authority },
  });
}

function describe({ heapKb, rssKb, sessions, death }: Growth): string {
  if (death !== undefined) return `died after ${death.after} (exit code ${death.code})`;
  const kept = sessions > 0 ? `, ${sessions} sessions alive` : "";
  return `${heapKb.toFixed(2)} / ${rssKb.toFixed(2)}${kept}`;
}

/** The other servers are only for comparison. */
function judge({ name }: Contender, title: string, growth: Growth): void {
  const most = values.short ? MOST.short : MOST.long;
  const isOver = growth.heapKb > most.heapKb || growth.rssKb > most.rssKb;
  if (name === "own" && (growth.death || isOver)) missed.push(`${title}: ${describe(growth)}`);
}

function printRow(...cells: readonly string[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}
