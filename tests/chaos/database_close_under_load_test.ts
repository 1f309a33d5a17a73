import { FaultProxy } from "../support/fault_proxy.ts";
import { startPostgres } from "../support/postgres.ts";
import { DatabaseUnderLoad } from "./database/database_under_load.ts";
import type { Scene } from "./database/fault.ts";

/** How much patience the close has, and what the database does meanwhile. */
interface Closing {
  readonly name: string;
  readonly timeoutMs?: number;
  readonly begin?: (scene: Scene) => Promise<void>;
  readonly end?: (scene: Scene) => Promise<void>;
}

const closings: Closing[] = [
  { name: "with patience" },
  { name: "without patience", timeoutMs: 0 },
  {
    name: "while the server is frozen",
    timeoutMs: 200,
    begin: ({ server }) => server.freeze(),
    end: ({ server }) => server.resume(),
  },
  {
    name: "while the network is silent",
    timeoutMs: 200,
    async begin({ proxy }) {
      await proxy.setMode("black-hole");
      proxy.silence();
    },
    async end({ proxy }) {
      proxy.resume();
      await proxy.setMode("pass");
    },
  },
  {
    name: "while the server is being looked for",
    async begin({ server, load }) {
      await server.kill();
      await load.transfers.more("failed", 20);
    },
    end: ({ server }) => server.start(),
  },
];

for (const { name, timeoutMs, begin, end } of closings) {
  Deno.test(`closed under load ${name}: every caller is told, and no session is left`, async () => {
    await using server = await startPostgres({ settings: { synchronous_commit: "on" } });
    await using proxy = await FaultProxy.start(server.database);
    const config = { hosts: [proxy.address] };
    await using load = await DatabaseUnderLoad.start(server, { config });
    await begin?.({ server, proxy, load });
    await load.database.close(timeoutMs === undefined ? {} : { timeoutMs });
    await load.transfers.more("failed", 20);
    await end?.({ server, proxy, load });
    await load.finish(server);
  });
}
