import { eventually } from "../tests/support/condition.ts";
import type { ServerProcess, ServerUsage } from "../tests/support/server_process.ts";
import type { ConnectionKind, Target } from "./connection_kinds.ts";
import { medianSlope } from "./statistics.ts";
import type { Contender } from "./transport_contenders.ts";

/** How a server process ended by itself. */
export interface Death {
  /** Connections that had come and gone by then. */
  readonly after: number;
  readonly code: number;
  /** The last line that it printed and did not log. */
  readonly lastWords: string;
}

/** What a server keeps of connections that have closed. */
export interface Growth {
  /** Kilobytes (1,000 bytes) of heap for each closed connection, after a garbage collection. */
  readonly heapKb: number;
  /** The same of resident memory. */
  readonly rssKb: number;
  /** HTTP/2 sessions in memory when no connection was left; NaN where they are not counted. */
  readonly sessions: number;
  /** Resident memory in MB after the warm-up and at the end. */
  readonly rssMb: readonly [first: number, last: number];
  readonly death: Death | undefined;
}

export interface GrowthOptions {
  readonly connections: number;
  /** Connections before the first sample: code is compiled, caches and pools fill. */
  readonly warmUp: number;
  /** Samples after the warm-up, evenly spread. */
  readonly samples: number;
  readonly target: Omit<Target, "port" | "http1Port">;
}

/** Starts a server, lets clients of a kind come and go, and measures what it keeps of them. */
export async function measureGrowth(
  contender: Contender,
  kind: ConnectionKind,
  { connections, warmUp, samples, target }: GrowthOptions,
): Promise<Growth> {
  await using server = await contender.start({ tls: target.ca !== undefined });
  const { port, http1Port } = server;
  const usages: { x: number; heap: number; rss: number; sessions: number }[] = [];
  let done = 0;
  let death: Death | undefined;
  try {
    for (const count of [warmUp, ...chunks(connections, samples)]) {
      await kind.run({ ...target, port, http1Port }, count, () => done++);
      const { heapUsed, rss, sessions } = await usageAtRest(server);
      usages.push({ x: done, heap: heapUsed / 1e3, rss: rss / 1e3, sessions });
    }
  } catch (error) {
    death = await deathOf(server, done);
    if (death === undefined) throw error;
  }
  // The first part still fills what fills once: the later part is what goes on for months.
  const late = usages.slice(Math.floor(usages.length / 3));
  const growth = (of: "heap" | "rss") => medianSlope(late.map((one) => ({ x: one.x, y: one[of] })));
  return {
    heapKb: growth("heap"),
    rssKb: growth("rss"),
    sessions: usages.at(-1)?.sessions ?? NaN,
    rssMb: [(usages[0]?.rss ?? NaN) / 1e3, (usages.at(-1)?.rss ?? NaN) / 1e3],
    death,
  };
}

/** How the server died; undefined when it lives. */
export async function deathOf(server: ServerProcess, after: number): Promise<Death | undefined> {
  // A client sees the end of a process before its parent does.
  const hasDied = await eventually(() => server.hasExited, { timeoutMs: 2_000 })
    .catch(() => false);
  if (!hasDied) return undefined;
  const { code } = await server.exited();
  const printed = server.output.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  return { after, code, lastWords: printed.at(-1) ?? "" };
}

/** @throws {Error} When the process has ended, or connections stay. */
async function usageAtRest(server: ServerProcess): Promise<ServerUsage> {
  const usage = await eventually(async () => {
    if (server.hasExited) return "ended";
    const now = await server.usage();
    return now.connections === 0 ? now : undefined;
  }, { what: "the server has closed every connection that its client has left" });
  if (usage === "ended") throw new Error("the server process has ended");
  return usage;
}

function chunks(total: number, count: number): number[] {
  return Array.from({ length: count }, () => Math.ceil(total / count));
}
