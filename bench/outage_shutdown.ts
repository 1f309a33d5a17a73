import { eventually } from "../tests/support/condition.ts";
import { FaultProxy } from "../tests/support/fault_proxy.ts";
import type { TestPostgres } from "../tests/support/postgres.ts";
import { databaseEnv, type ServiceUnderTest, startService } from "../tests/support/service.ts";
import { GrpcCaller, Http1Caller } from "../tests/chaos/database/service_callers.ts";

/** Result of one shutdown of the service process. */
export interface Shutdown {
  readonly tookMs: number;
  /** Requests that the service has read. */
  readonly accepted: number;
  /** Of those, requests whose answers were incomplete or errors. */
  readonly failed: number;
}

/** Stops an idle service. */
export async function stopIdle(server: TestPostgres): Promise<Shutdown> {
  await using service = await startService({ env: databaseEnv(server) });
  await service.logged("database.connected");
  return { tookMs: await stop(service), accepted: 0, failed: 0 };
}

/** Stops a service whose callers continue until it refuses them. */
export async function stopUnderLoad(server: TestPostgres): Promise<Shutdown> {
  await using proxy = await FaultProxy.start(server.database);
  // So that requests are in progress at any time.
  proxy.shape({ latencyMs: 20, jitterMs: 20 });
  const env = { ...databaseEnv(server), DB_HOST: proxy.host, DB_PORT: String(proxy.port) };
  await using service = await startService({ env });
  await service.logged("database.connected");

  const callers = [
    ...Array.from({ length: 10 }, () => new Http1Caller()),
    ...Array.from({ length: 4 }, () => new GrpcCaller()),
  ];
  const port = Number(new URL(service.url).port);
  const calls = Promise.all(callers.map((caller) => caller.run(port)));
  calls.catch(() => {}); // awaited below
  await eventually(() => callers.every(({ answered }) => answered >= 5), {
    what: "every caller has had answers",
  });
  const tookMs = await stop(service);
  await calls;

  const records = service.logs.filter(({ method }) => method !== undefined);
  const answered = callers.reduce((sum, caller) => sum + caller.answered, 0);
  const errors = records.filter(({ code }) => code !== "ok").length;
  return {
    tookMs,
    accepted: records.length,
    failed: errors + Math.max(0, records.length - answered),
  };
}

/** Milliseconds from the signal to the end of the process. */
async function stop(service: ServiceUnderTest): Promise<number> {
  const startedAt = performance.now();
  const { code } = await service.stop();
  if (code !== 0) throw new Error(`The service ended with ${code}:\n${service.output()}`);
  return performance.now() - startedAt;
}
