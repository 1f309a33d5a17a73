/**
 * Measures the transport of this service: Connect with JSON over HTTP/1.1 and gRPC over HTTP/2,
 * compared with Connect's adapter and with Node.js, all with the same handlers.
 *
 * The servers take turns in each round, so that noise affects all of them. Compare the ratios;
 * absolute numbers are valid for one machine at one time. On a busy machine, the CPU time of the
 * server per request is the most reliable number.
 *
 *     deno task bench
 *     deno run -A bench/transport.ts --rounds 9 --seconds 5
 *
 * @module
 */
import os from "node:os";
import { parseArgs } from "node:util";
import {
  connectJson,
  grpc,
  H2LOAD_CLIENTS,
  H2LOAD_STREAMS,
  type Load,
  type Measurement,
  versionOf,
  WRK_CONNECTIONS,
} from "./load.ts";
import { type BenchServer, startServers } from "./servers.ts";
import { median } from "./statistics.ts";

const PROTOCOLS: readonly { title: string; load: Load; address: "http1" | "http2" }[] = [
  {
    title: `Connect JSON over HTTP/1.1 (wrk -t1 -c${WRK_CONNECTIONS})`,
    load: connectJson,
    address: "http1",
  },
  {
    title: `gRPC over HTTP/2 (h2load -c ${H2LOAD_CLIENTS} -m ${H2LOAD_STREAMS})`,
    load: grpc,
    address: "http2",
  },
];

/** Above this load per core, other programs determine the result. */
const QUIET_LOAD = 0.25;
const WARM_UP_S = 2;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "3" },
  },
});

const [wrk, h2load, node] = await Promise.all([
  versionOf("wrk", "-v"),
  versionOf("h2load"),
  versionOf("node"),
]);
if (wrk === undefined || h2load === undefined) {
  console.error("Requires wrk and h2load. On Debian: apt install wrk nghttp2-client");
  Deno.exit(1);
}
const cores = os.availableParallelism();
console.log(`GetHealth on a checker that takes no time, each request logged to /dev/null.
Deno ${Deno.version.deno}, Node.js ${node ?? "not installed"}, ${cores} cores, load ${
  os.loadavg()[0]!.toFixed(2)
}; ${values.rounds} rounds of ${values.seconds} s, the servers take turns; medians.`);
if (os.loadavg()[0]! > QUIET_LOAD * cores) {
  console.log("This machine is busy: the numbers will be noisy.");
}

await using cleanup = new AsyncDisposableStack();
const servers = await startServers(node === undefined ? undefined : "node", cleanup);
for (const { title, load, address } of PROTOCOLS) {
  const results = await takeTurns(servers, async (server, seconds) => {
    const before = await server.cpuSeconds();
    const measurement = await load(server.addresses[address], seconds);
    const cpuSeconds = await server.cpuSeconds() - before;
    return { ...measurement, cpuMicros: cpuSeconds * 1e6 / measurement.requests };
  });
  printTable(title, results);
}

interface Result extends Measurement {
  /** CPU time of the server per request, in microseconds. */
  readonly cpuMicros: number;
}

async function takeTurns(
  servers: readonly BenchServer[],
  measure: (server: BenchServer, seconds: number) => Promise<Result>,
): Promise<Map<string, Result[]>> {
  const results = new Map(servers.map(({ name }) => [name, [] as Result[]]));
  for (const server of servers) await measure(server, WARM_UP_S);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const server of servers) {
      results.get(server.name)!.push(await measure(server, Number(values.seconds)));
    }
  }
  return results;
}

function printTable(title: string, results: ReadonlyMap<string, readonly Result[]>): void {
  const medians = Array.from(results, ([name, list]) => ({
    name,
    rate: median(list.map(({ requestsPerSecond }) => requestsPerSecond)),
    p99Ms: median(list.map(({ p99Ms }) => p99Ms)),
    cpuMicros: median(list.map(({ cpuMicros }) => cpuMicros)),
  }));
  const own = medians[0]!;
  console.log(`\n${title}; in brackets: the first server is 1\n`);
  console.log("| server | req/s | P99 ms | CPU µs per request |");
  console.log("| --- | --- | --- | --- |");
  for (const { name, rate, p99Ms, cpuMicros } of medians) {
    const columns = [
      name,
      `${Math.round(rate)} (${(rate / own.rate).toFixed(2)})`,
      `${p99Ms.toFixed(1)} (${(p99Ms / own.p99Ms).toFixed(2)})`,
      `${Math.round(cpuMicros)} (${(cpuMicros / own.cpuMicros).toFixed(2)})`,
    ];
    console.log(`| ${columns.join(" | ")} |`);
  }
}
