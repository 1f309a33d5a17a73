import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { startReplicationPair } from "../support/replication.ts";
import { DatabaseUnderLoad } from "./database/database_under_load.ts";

const REASONS = ["WRONG_SERVER_ROLE", "CONNECTION_REFUSED"];

Deno.test("under load: the primary is killed, and its synchronous standby is promoted", async () => {
  await using pair = await startReplicationPair({ synchronous: true });
  const config = { hosts: pair.hosts, targetSessionAttrs: "read-write" } as const;
  await using load = await DatabaseUnderLoad.start(pair.primary, { config });

  await pair.primary.kill();
  await load.untilHealth(ServiceStatus.UNHEALTHY, REASONS);
  await load.transfers.more("failed", 20);
  await pair.promote();
  await load.untilRecovered();
  await load.finish(pair.standby);
});

Deno.test("under load: while the primary is unavailable, the standby serves reads", async () => {
  await using pair = await startReplicationPair({ synchronous: true });
  const { host, port } = pair.standby.database;
  const config = {
    hosts: pair.hosts,
    targetSessionAttrs: "read-write",
    readHosts: [{ host, port }],
  } as const;
  await using load = await DatabaseUnderLoad.start(pair.primary, { config });

  await pair.primary.kill();
  await load.untilHealth(ServiceStatus.DEGRADED, REASONS);
  await load.reads.more(50);
  await load.transfers.more("failed", 20);
  await load.untilHealth(ServiceStatus.DEGRADED, REASONS);
  await pair.promote();
  await load.untilRecovered();
  await load.finish(pair.standby);
});
