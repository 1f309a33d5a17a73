import { fileURLToPath } from "node:url";
import { bundleForNode } from "./node_bundle.ts";

/** Addresses of a server; both may be the same. */
export interface Addresses {
  readonly http1: string;
  readonly http2: string;
}

/** A server to measure, in a separate process. */
export interface BenchServer extends AsyncDisposable {
  readonly name: string;
  readonly addresses: Addresses;
  /** CPU time of the process in seconds; NaN if the system does not report it. */
  cpuSeconds(): Promise<number>;
}

/** USER_HZ: the unit of times in /proc, 100 on every Linux that Deno runs on. */
const TICKS_PER_SECOND = 100;

const ENTRY = fileURLToPath(new URL("./transport_server.ts", import.meta.url));

/**
 * Starts all servers, each transport on each runtime, and adds them to `cleanup`.
 *
 * @param node The Node.js program; undefined if it is not installed.
 */
export async function startServers(
  node: string | undefined,
  cleanup: AsyncDisposableStack,
): Promise<BenchServer[]> {
  const runtimes = [{ runtime: "Deno", command: [Deno.execPath(), "run", "-A", ENTRY] }];
  if (node !== undefined) {
    const bundle = await bundleForNode("transport_server");
    runtimes.push({ runtime: "Node.js", command: [node, bundle] });
  }
  const servers: BenchServer[] = [];
  for (const { runtime, command } of runtimes) {
    for (const kind of ["own", "connect-node"]) {
      servers.push(cleanup.use(await startServer(`${kind} on ${runtime}`, [...command, kind])));
    }
  }
  return servers;
}

async function startServer(name: string, [program, ...args]: string[]): Promise<BenchServer> {
  const child = new Deno.Command(program!, {
    args,
    stdin: "null",
    stdout: "null", // the request log
    stderr: "piped",
  }).spawn();
  const stderr = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let printed = "";
  while (!printed.includes("}\n")) {
    const { value, done } = await stderr.read();
    if (done) throw new Error(`${name} did not start:\n${printed}`);
    printed += value;
  }
  return {
    name,
    addresses: JSON.parse(/\{.*\}/.exec(printed)![0]),
    async cpuSeconds() {
      const stat = await Deno.readTextFile(`/proc/${child.pid}/stat`).catch(() => "");
      // proc(5): utime and stime are the fields 14 and 15; the second one may contain spaces.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await stderr.cancel();
      await child.status;
    },
  };
}
