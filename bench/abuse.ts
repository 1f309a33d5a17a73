/**
 * Attacks servers, one client each, and measures whether other clients are still served: meanwhile
 * another process requests `/readyz` and the gRPC health check, and the resident memory of the
 * server is read from the kernel. Each attack runs against a fresh server: the transport of this
 * service, then a bare `node:http2` server on the same Deno and on Node.js.
 *
 *     deno task bench:abuse [--servers own,deno,node] [--attack "rapid reset"]
 *
 * The attacks are in `bench/abuse_attacks.ts`: rapid reset (CVE-2023-44487), streams whose
 * flow-control window is zero, more calls than a cold server can handle, pipelined requests, unread
 * answers, and idle connections. Fails if this service misses a target.
 *
 * Linux only: memory comes from /proc/PID/status.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { fileURLToPath } from "node:url";
import { eventually } from "../tests/support/condition.ts";
import type { ServerProcess } from "../tests/support/server_process.ts";
import { ATTACKS, type AttackTarget } from "./abuse_attacks.ts";
import type { ProbeReport, ProbeSeries } from "./abuse_prober.ts";
import { HTTP1_CALLS, SILENT_LEAVERS } from "./connection_kinds.ts";
import { type Contender, contenders } from "./transport_contenders.ts";

/** Limits for this service under an attack. */
interface Target {
  readonly mostGrowthMb?: number;
  readonly mostRssMb?: number;
  readonly slowestReadyzMs: number;
}

const RAPID_RESET: Target = { mostGrowthMb: 40, slowestReadyzMs: 300 };
const ZERO_WINDOW: Target = { mostRssMb: 250, slowestReadyzMs: 500 };
const TARGETS: Readonly<Record<string, Target>> = {
  "rapid reset, 1 connection, 2 s": RAPID_RESET,
  "30 × 100 zero-window streams": ZERO_WINDOW,
  "100 × 100 zero-window streams": ZERO_WINDOW,
  "100 × 100 zero-window, Connect": ZERO_WINDOW,
  "100 × 100 zero-window, Check": ZERO_WINDOW,
  "30 × 100 calls, cold server": { slowestReadyzMs: 500 },
};
const COLD = "cold";

/** More than the default of `SERVER_MAX_CONNECTIONS`. */
const IDLE_CONNECTIONS = 10_050;
const OVER_THE_LIMIT = 50;
/** File descriptors that a process may need besides its connections. */
const SPARE_FILES = 500;
const WARM_UP_VISITS = 200;
/** Time limit of an attack. */
const ATTACK_TIMEOUT_MS = 60_000;
/** How long probes continue after the attack. */
const AFTERMATH_MS = 2_000;
const CLOSE_TIMEOUT_MS = 10_000;

const { values } = parseArgs({
  options: {
    servers: { type: "string", default: "own,deno,node" },
    attack: { type: "string", default: "" },
  },
});
const openFiles = await openFilesLimit();
const idleConnections = Math.min(IDLE_CONNECTIONS, openFiles - SPARE_FILES);
const missed: string[] = [];

console.log(
  `Deno ${Deno.version.deno}; RSS in MB, times in ms; ${openFiles} open files allowed.\n`,
);
const COLUMNS = ["attack", "server", "what came of it", "RSS before", "peak", "after"];
const PROBE_COLUMNS = ["/readyz failed", "slowest", "Check failed", "slowest"];
printRow([...COLUMNS, ...PROBE_COLUMNS]);
printRow([...COLUMNS, ...PROBE_COLUMNS].map(() => "---"));
const servers = await contenders(values.servers);
for (const name of Object.keys(ATTACKS).filter((name) => name.includes(values.attack))) {
  for (const server of servers) {
    const result = await suffer(server, name);
    printRow([
      name,
      server.name,
      result.outcome,
      ...[result.beforeMb, result.peakMb, result.afterMb].map((mb) => mb.toFixed(0)),
      ...describe(result.report.readyz),
      ...describe(result.report.check),
    ]);
    if (server.name === "own") judge(name, result);
  }
}
if (missed.length > 0) {
  console.error(`\nMissed:\n${missed.join("\n")}`);
  Deno.exit(1);
}

interface Result {
  readonly outcome: string;
  readonly beforeMb: number;
  readonly peakMb: number;
  /** After the attacker has ended and a garbage collection; NaN if the server has died. */
  readonly afterMb: number;
  readonly report: ProbeReport;
}

async function suffer(contender: Contender, attack: string): Promise<Result> {
  const config = { maxConnections: idleConnections - OVER_THE_LIMIT };
  await using server = await contender.start({ config });
  const { port, http1Port } = server;
  if (!attack.includes(COLD)) await warmUp(server);
  const beforeMb = await memoryMb(server, "VmRSS");
  await forgetPeak(server);

  const target: AttackTarget = { port, http1Port, idleConnections };
  await using prober = startProber(target);
  const said = await runAttack(attack, target);
  // The server may still be processing what it was sent.
  await delay(AFTERMATH_MS);
  const soFarMb = await memoryMb(server, "VmHWM");
  const report = await prober.report();
  const { afterMb, note } = await leftover(server);
  // A server that died sends no report.
  const peakMb = server.hasExited ? soFarMb : await memoryMb(server, "VmHWM");
  return { outcome: said + note, beforeMb, peakMb, afterMb, report };
}

/** Compiles the code that answers calls, so that compilation is not measured. */
async function warmUp({ port, http1Port }: ServerProcess): Promise<void> {
  for (const kind of [SILENT_LEAVERS, HTTP1_CALLS]) {
    await kind.run({ port, http1Port, ca: undefined }, WARM_UP_VISITS, () => {});
  }
}

async function runAttack(name: string, target: AttackTarget): Promise<string> {
  const { stdout, code } = await program("abuse_client.ts", [name, JSON.stringify(target)], {
    signal: AbortSignal.timeout(ATTACK_TIMEOUT_MS),
  }).output();
  return new TextDecoder().decode(stdout).trim() || `cut off, exit code ${code}`;
}

function startProber(target: AttackTarget) {
  const child = program("abuse_prober.ts", [JSON.stringify(target)], { stdin: "piped" }).spawn();
  const output = child.output();
  let isAsked = false;
  return {
    async report(): Promise<ProbeReport> {
      isAsked = true;
      await child.stdin.close();
      return JSON.parse(new TextDecoder().decode((await output).stdout));
    },
    async [Symbol.asyncDispose](): Promise<void> {
      if (!isAsked) await child.stdin.close();
      await output;
    },
  };
}

function program(name: string, args: string[], options: Deno.CommandOptions): Deno.Command {
  const path = fileURLToPath(new URL(`./${name}`, import.meta.url));
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", path, ...args],
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
    ...options,
  });
}

/** Measures what the server retains after the attack and a garbage collection. */
async function leftover(server: ServerProcess): Promise<{ afterMb: number; note: string }> {
  const closed = async () => server.hasExited || (await server.usage()).connections === 0;
  // Some servers keep a connection until a timeout.
  await eventually(closed, { timeoutMs: CLOSE_TIMEOUT_MS }).catch(() => {});
  if (server.hasExited) {
    return { afterMb: NaN, note: `; died, exit code ${(await server.exited()).code}` };
  }
  const { rss, connections } = await server.usage();
  return { afterMb: rss / 1e6, note: connections > 0 ? `; connections kept: ${connections}` : "" };
}

/** Reads a memory line of proc(5), in MB; NaN if the process has ended. */
async function memoryMb({ pid }: ServerProcess, line: "VmRSS" | "VmHWM"): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  const kib = new RegExp(`^${line}:\\s*(\\d+) kB$`, "m").exec(status)?.[1];
  return Number(kib ?? NaN) * 1024 / 1e6;
}

/** Resets the peak of resident memory (VmHWM). */
async function forgetPeak({ pid }: ServerProcess): Promise<void> {
  await Deno.writeTextFile(`/proc/${pid}/clear_refs`, "5");
}

async function openFilesLimit(): Promise<number> {
  const limits = await Deno.readTextFile("/proc/self/limits");
  return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? 1024);
}

function describe({ asked, failed, slowestMs }: ProbeSeries): string[] {
  return [`${failed} of ${asked}`, slowestMs.toFixed(0)];
}

function judge(attack: string, { outcome, beforeMb, peakMb, report }: Result): void {
  const target = TARGETS[attack];
  if (target === undefined) return;
  const { mostGrowthMb = Infinity, mostRssMb = Infinity, slowestReadyzMs } = target;
  const faults = [
    outcome.includes("died") && outcome,
    outcome.includes("lost") && !/\b0 lost/.test(outcome) && outcome,
    peakMb - beforeMb > mostGrowthMb && `RSS grew by more than ${mostGrowthMb} MB`,
    peakMb > mostRssMb && `RSS was above ${mostRssMb} MB`,
    report.readyz.failed > 0 && `${report.readyz.failed} /readyz failed`,
    report.readyz.slowestMs > slowestReadyzMs && `/readyz took more than ${slowestReadyzMs} ms`,
  ].filter((fault) => fault !== false);
  if (faults.length > 0) missed.push(`${attack}: ${faults.join("; ")}`);
}

function printRow(cells: readonly string[]): void {
  console.log(`| ${cells.join(" | ")} |`);
}
