/**
 * Counts the server processes that crash when clients disconnect: fresh processes, each with rounds
 * of clients that close cleanly, are killed, send GOAWAY, reset streams or connections, and
 * disconnect during calls, over HTTP/2 and HTTP/1.1; and of h2load, if it is installed. Compares
 * the transport of this service with bare `node:http2` servers on the same Deno and on Node.js.
 *
 *     deno task bench:churn [--servers 100] [--peers 20] [--rounds 2]
 *     deno task bench:churn --short
 *
 * Fails if a server of this service crashes; `--short` runs only 10 of those, with one round each.
 * A Deno whose HTTP/2 server corrupts memory (denoland/deno issue 36788) crashes in native code,
 * with exit code 134 or 139.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { churnTrial } from "./churn_trial.ts";
import { versionOf } from "./load.ts";
import { bareDeno, bareNode, type Contender, own } from "./transport_contenders.ts";

const SHORT_SERVERS = 10;

const { values } = parseArgs({
  options: {
    servers: { type: "string", default: "100" },
    peers: { type: "string", default: "20" },
    rounds: { type: "string", default: "2" },
    short: { type: "boolean", default: false },
  },
});
const servers = values.short ? SHORT_SERVERS : Number(values.servers);
const peers = values.short ? 0 : Number(values.peers);
const rounds = values.short ? 1 : Number(values.rounds);
const h2load = await versionOf("h2load") !== undefined;

console.log(
  `Deno ${Deno.version.deno}; fresh servers, rounds of clients that leave: ${rounds}.`,
);
if (!h2load) console.log("h2load is not installed: its rounds are skipped.");
console.log("\n| server | processes | deaths | exit codes | ms a process |");
console.log("| --- | --- | --- | --- | --- |");
const deaths = await count(own(), servers);
if (peers > 0) {
  await count(bareDeno(), peers);
  const node = await bareNode();
  if (node) await count(node, peers);
}
if (deaths > 0) {
  console.error(`\n${deaths} of ${servers} servers died.`);
  Deno.exit(1);
}

/** Runs this many processes, prints a row, and returns how many died. */
async function count(contender: Contender, processes: number): Promise<number> {
  const codes = new Map<number, number>();
  const startedAt = performance.now();
  for (let trial = 0; trial < processes; trial++) {
    const death = await churnTrial(contender, { rounds, h2load });
    if (death === undefined) continue;
    codes.set(death.code, (codes.get(death.code) ?? 0) + 1);
    console.error(
      `${contender.name} ${trial + 1} died in round ${death.after + 1}: ${death.lastWords}`,
    );
  }
  const dead = [...codes.values()].reduce((sum, times) => sum + times, 0);
  const listed = [...codes].map(([code, times]) => `${code} (${times})`).join(", ") || "–";
  const duration = Math.round((performance.now() - startedAt) / processes);
  console.log(`| ${[contender.name, processes, dead, listed, duration].join(" | ")} |`);
  return dead;
}
