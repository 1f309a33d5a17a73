import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { Health as GrpcHealth } from "../../../gen/grpc/health/v1/health_pb.ts";
import { Health } from "../../../gen/treasury/v1/health_pb.ts";
import { createGrpcHealthService } from "../../../src/health/grpc_health_service.ts";
import { createHealthService } from "../../../src/health/health_service.ts";
import { HealthHistory } from "../../../src/health/history.ts";
import { HealthRegistry } from "../../../src/health/registry.ts";
import { ManualClock } from "./manual_clock.ts";
import { ScriptedChecker } from "./scripted_checker.ts";

export const HEARTBEAT_MS = 30_000;

/** Both RPC services on one registry with two scripted dependencies, called in process. */
export class Rpc {
  readonly clock = new ManualClock();
  readonly ledger = new ScriptedChecker("ledger", true, this.clock);
  readonly rates = new ScriptedChecker("rates", false, this.clock);
  readonly registry = new HealthRegistry({
    checkers: [this.ledger, this.rates],
    clock: this.clock,
  });
  readonly shutdown = new AbortController();
  readonly health: Client<typeof Health>;
  readonly grpcHealth: Client<typeof GrpcHealth>;

  constructor() {
    const { registry, clock } = this;
    const shutdownSignal = this.shutdown.signal;
    const transport = createRouterTransport(({ service }) => {
      service(
        Health,
        createHealthService({
          registry,
          history: new HealthHistory(registry, { clock }),
          version: "1.2.3",
          startedAt: new Date(clock.date().getTime() - 61_900),
          heartbeatMs: HEARTBEAT_MS,
          shutdownSignal,
          clock,
        }),
      );
      service(GrpcHealth, createGrpcHealthService({ registry, shutdownSignal }));
    });
    this.health = createClient(Health, transport);
    this.grpcHealth = createClient(GrpcHealth, transport);
  }
}

/** Reads a stream one message at a time. */
export function messages<T>(stream: AsyncIterable<T>): { next: () => Promise<T> } {
  const iterator = stream[Symbol.asyncIterator]();
  return {
    async next() {
      const { done, value } = await iterator.next();
      if (done) throw new Error("The stream has ended without an error.");
      return value;
    },
  };
}
