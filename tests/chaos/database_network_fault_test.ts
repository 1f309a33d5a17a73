import { afterBytes, type Moment, onSql, type ProxyMode } from "../support/fault_proxy.ts";
import { type Fault, type Scene, testFault } from "./database/fault.ts";

/** New connections meet the mode, and the ones that are open end. */
async function cutOff({ proxy }: Scene, mode: ProxyMode): Promise<void> {
  await proxy.setMode(mode);
  proxy.endAll("close");
}

async function heal({ proxy }: Scene): Promise<void> {
  proxy.resume();
  proxy.shape({});
  await proxy.setMode("pass");
}

const CUT = ["CONNECTION_LOST"] as const;
const UNANSWERED = ["PING_TIMEOUT", "CONNECT_TIMEOUT"] as const;

const faults: Omit<Fault, "network" | "end">[] = [
  {
    name: "the network refuses connections",
    begin: (scene) => cutOff(scene, "refuse"),
    outage: ["CONNECTION_REFUSED"],
    signs: CUT,
  },
  {
    name: "the network accepts connections and closes them",
    begin: (scene) => cutOff(scene, "close"),
    outage: ["CONNECTION_LOST"],
  },
  {
    name: "the network accepts connections and never answers",
    silence: true,
    begin: (scene) => cutOff(scene, "black-hole"),
    outage: UNANSWERED,
    signs: CUT,
  },
  {
    name: "the network falls silent in the middle of everything",
    silence: true,
    async begin({ proxy }) {
      await proxy.setMode("black-hole");
      proxy.silence();
    },
    outage: UNANSWERED,
  },
  {
    name: "requests reach the server, and answers do not come back",
    silence: true,
    async begin({ proxy }) {
      await proxy.setMode("black-hole");
      proxy.silence("toClient");
    },
    outage: UNANSWERED,
  },
  {
    name: "open connections fall silent, and new ones work",
    silence: true,
    async begin({ proxy, load }) {
      proxy.silence();
      await load.transfers.more("committed", 1);
    },
  },
  {
    name: "connections are reset, again and again",
    async begin({ proxy, load }) {
      for (let round = 0; round < 5; round++) {
        proxy.endAll("reset");
        await load.transfers.more("committed", 5);
      }
    },
  },
  {
    name: "new connections are cut in their handshake",
    async begin({ proxy }) {
      for (const bytes of [1, 20, 100, 200, 400]) {
        const cut = proxy.cut(afterBytes("toClient", bytes));
        proxy.endAll("reset");
        await cut.happened();
      }
    },
  },
  {
    name: "the network is slow",
    async begin({ proxy, load }) {
      proxy.shape({ latencyMs: 10, jitterMs: 20 });
      await load.transfers.more("committed", 20);
    },
    outage: "none",
  },
  {
    name: "the network sends one byte at a time",
    // Slow is all that it is, so nothing may take it for an outage.
    config: {
      connectTimeoutMs: 120_000,
      pingTimeoutMs: 120_000,
      acquireTimeoutMs: 120_000,
      maxConnections: 2,
    },
    timeoutMs: 120_000,
    async begin({ proxy, load }) {
      proxy.shape({ trickle: true });
      proxy.endAll("close");
      await load.transfers.more("committed", 2);
    },
    outage: "none",
  },
  ...(["request", "forwarded", "answer"] satisfies Moment[]).map((moment) => ({
    name: `connections are cut at the commit (${moment})`,
    async begin({ proxy, load }: Scene) {
      for (let round = 0; round < 5; round++) {
        const unknown = load.transfers.more("unknown", 1);
        await proxy.cut(onSql("commit", moment)).happened();
        await unknown;
      }
    },
    outage: "none" as const,
  })),
];

for (const fault of faults) testFault({ ...fault, network: true, end: heal });
