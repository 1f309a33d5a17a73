import { ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import type { DatabaseErrorCode } from "../../../src/database/mod.ts";
import { FaultProxy } from "../../support/fault_proxy.ts";
import { startPostgres, type TestPostgres } from "../../support/postgres.ts";
import { DatabaseUnderLoad, type LoadOptions } from "./database_under_load.ts";

/** What a fault can act upon. */
export interface Scene {
  readonly server: TestPostgres;
  /** The network between the manager and the server. */
  readonly proxy: FaultProxy;
  readonly load: DatabaseUnderLoad;
}

/** Something that happens to a database while it is used. */
export interface Fault extends LoadOptions {
  readonly name: string;
  /** Whether the manager reaches the server through the proxy. */
  readonly network?: boolean;
  readonly serverSettings?: Readonly<Record<string, string>>;
  readonly begin: (scene: Scene) => Promise<void>;
  /** What health checks say while it lasts: UNHEALTHY for one of these reasons, else HEALTHY. */
  readonly outage?: readonly DatabaseErrorCode[];
  readonly end?: (scene: Scene) => Promise<void>;
}

/** Registers a test: the database is used, the fault comes and goes, and nothing was lost. */
export function testFault(fault: Fault): void {
  Deno.test(`under load: ${fault.name}`, async () => {
    const settings = { synchronous_commit: "on", ...fault.serverSettings };
    await using server = await startPostgres({ settings });
    await using proxy = await FaultProxy.start(server.database);
    const hosts = fault.network ? { hosts: [proxy.address] } : {};
    const config = { ...hosts, ...fault.config };
    await using load = await DatabaseUnderLoad.start(server, { ...fault, config });
    await fault.begin({ server, proxy, load });
    if (fault.outage === undefined) {
      await load.untilHealth(ServiceStatus.HEALTHY);
    } else {
      await load.untilHealth(ServiceStatus.UNHEALTHY, fault.outage);
      // Callers are told, and do not wait for the end of it.
      await load.transfers.more("failed", 20);
    }
    await fault.end?.({ server, proxy, load });
    await load.untilRecovered();
    await load.finish(server);
  });
}
