import { eventually } from "../tests/support/condition.ts";
import type { ServerProcess, ServerUsage } from "../tests/support/server_process.ts";
import type { ConnectionKind, Target } from "./connection_kinds.ts";
import { medianSlope } from "./statistics.ts";
import type { Contender } from "./transport_contenders.ts";

/** How a server process died. */
export interface Death {
  /** Number of closed connections by then. */
  readonly after: number;
  readonly code: number;
  /** The last line that it printed other than its log. */
  readonly lastWords: string;
}

/** What a server retains of closed connections. */
export interface Growth {
  /** Kilobytes (1,000 bytes) of heap per closed connection, after a garbage collection. */
  readonly heapKb: number;
  /** The same for resident memory. */
  readonly rssKb: number;
  /** HTTP/2 sessions in memory after all connections were closed; NaN if they are not counted. */
  readonly sessions: number;
  /** Resident memory in MB after the warm-up and at the end. */
  readonly rssMb: readonly [first: number, last: number];
  readonly death: Death | undefined;
}

export interface GrowthOptions {
  readonly connections: number;
  /** Connections before the first sample, to compile code and fill caches and pools. */
  readonly warmUp: number;
  /** Number of samples after the warm-up, evenly spread. */
  readonly samples: number;
  readonly target: Omit<Target, "port" | "http1Port">;
}

/** Starts a server, opens and closes connections of a kind, and measures what it retains. */
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
  // The first part still includes one-time allocations; the later part is the long-term rate.
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

/** How the server died; undefined if it is alive. */
export async function deathOf(server: ServerProcess, after: number): Promise<Death | undefined> {
  // A client notices the end of a process before its parent does.
  const hasDied = await eventually(() => server.hasExited, { timeoutMs: 2_000 })
    .catch(() => false);
  if (!hasDied) return undefined;
  const { code } = await server.exited();
  const printed = server.output.split("\n").filter((line) => line !== "" && !line.startsWith("{"));
  return { after, code, lastWords: printed.at(-1) ?? "" };
}

/** @throws {Error} If the process has ended, or connections stay open. */
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
