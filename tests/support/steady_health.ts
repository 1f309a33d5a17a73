import type { ConnectRouter } from "@connectrpc/connect";
import { Health as GrpcHealth } from "../../gen/grpc/health/v1/health_pb.ts";
import {
  type DependencyHealth,
  DependencyType,
  Health,
  ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
import { CheckTimer, type DependencyChecker } from "../../src/health/checker.ts";
import { systemWallClock } from "../../src/health/clock.ts";
import {
  createGrpcHealthService,
  createHealthService,
  type HealthRegistry,
} from "../../src/health/mod.ts";

/** A database that is always well, and takes no time to say so. */
export class SteadyChecker implements DependencyChecker {
  readonly name = "postgresql-primary";
  readonly type = DependencyType.DATABASE;
  readonly critical = true;
  readonly target = { hostname: "localhost", port: 5432, protocol: "postgresql" };
  readonly timeoutMs = 1_000;

  check(): Promise<DependencyHealth> {
    return Promise.resolve(
      new CheckTimer(systemWallClock).result(this, {
        status: ServiceStatus.HEALTHY,
        message: "Connection is healthy",
        poolInfo: { maxConnections: 25, activeConnections: 1, idleConnections: 4 },
      }),
    );
  }
}

/** The service's real health RPCs on `registry`; `shutdownSignal` ends their streams. */
export function steadyHealthRoutes(
  registry: HealthRegistry,
  shutdownSignal: AbortSignal,
): (router: ConnectRouter) => void {
  return (router) => {
    router.service(
      Health,
      createHealthService({
        registry,
        version: "0.0.0-test",
        startedAt: new Date(),
        heartbeatMs: 30_000,
        shutdownSignal,
      }),
    );
    router.service(GrpcHealth, createGrpcHealthService({ registry, shutdownSignal }));
  };
}
