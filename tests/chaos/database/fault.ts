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
  /**
   * Whether somebody waits in vain for an answer, which only the impatient notice. All others are
   * patient, so that a machine that is merely busy does not look like an outage.
   */
  readonly silence?: boolean;
  readonly begin: (scene: Scene) => Promise<void>;
  /**
   * What health checks say while it lasts: UNHEALTHY for one of these reasons, else HEALTHY. For
   * "none" nobody is ever told of an outage; when it is left out, somebody may be, for a while.
   */
  readonly outage?: readonly DatabaseErrorCode[] | "none";
  /** Signs that it may begin with, beside those reasons: how sessions learn of it. */
  readonly signs?: readonly DatabaseErrorCode[];
  readonly end?: (scene: Scene) => Promise<void>;
}

const PATIENCE_MS = 30_000;

/** Callers that wait for longer than a machine that is merely busy lets them. */
export const PATIENT: LoadOptions = {
  config: {
    connectTimeoutMs: PATIENCE_MS,
    pingTimeoutMs: PATIENCE_MS,
    acquireTimeoutMs: PATIENCE_MS,
  },
  timeoutMs: PATIENCE_MS,
};

/** Registers a test: the database is used, the fault comes and goes, and nothing was lost. */
export function testFault(fault: Fault): void {
  Deno.test(`under load: ${fault.name}`, async () => {
    const settings = { synchronous_commit: "on", ...fault.serverSettings };
    await using server = await startPostgres({ settings });
    await using proxy = await FaultProxy.start(server.database);
    const hosts = fault.network ? { hosts: [proxy.address] } : {};
    const patience = fault.silence ? {} : PATIENT;
    const config = { ...hosts, ...patience.config, ...fault.config };
    await using load = await DatabaseUnderLoad.start(server, { ...patience, ...fault, config });
    const scene = { server, proxy, load };
    await fault.begin(scene);
    if (fault.outage === undefined || fault.outage === "none") {
      await load.untilHealth(ServiceStatus.HEALTHY);
    } else {
      await load.untilHealth(ServiceStatus.UNHEALTHY, fault.outage);
      // Callers are told, and do not wait for the end of it.
      await load.transfers.more("failed", 20);
      load.story.assertLost([...fault.outage, ...fault.signs ?? []]);
    }
    await fault.end?.(scene);
    await load.untilRecovered();
    assertTold(load, fault);
    await load.finish(server);
  });
}

function assertTold({ story }: DatabaseUnderLoad, { outage, silence }: Fault): void {
  if (outage === "none") story.assertNoOutage();
  // After a silence, a busy machine can be too slow for the impatient once more.
  else if (outage !== undefined && !silence) story.assertRecovered();
}
