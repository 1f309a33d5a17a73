import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  type Health as GrpcHealth,
  type HealthCheckRequest,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.ts";
import { Health } from "../../gen/treasury/v1/health_pb.ts";
import { AnySignal } from "../time.ts";
import { follow } from "./follow.ts";
import type { HealthRegistry } from "./registry.ts";
import { endOfStream } from "./stream_end.ts";

/** What {@linkcode createGrpcHealthService} serves. */
export interface GrpcHealthServiceOptions {
  /** Provides readiness. */
  readonly registry: HealthRegistry;
  /** Makes every service except liveness NOT_SERVING, then ends every Watch stream with UNAVAILABLE. */
  readonly shutdownSignal: AbortSignal;
}

/**
 * Implements `grpc.health.v1.Health` for probes and load balancers
 * (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
 *
 * `liveness` is SERVING while the process runs. It does not depend on other systems, because a
 * restart would not repair them. `readiness`, the name of the service and "" (the whole server) are
 * SERVING while the service is ready.
 */
export function createGrpcHealthService(
  { registry, shutdownSignal }: GrpcHealthServiceOptions,
): ServiceImpl<typeof GrpcHealth> {
  const live = () => ServingStatus.SERVING;
  const ready = () =>
    registry.readiness.ready && !shutdownSignal.aborted
      ? ServingStatus.SERVING
      : ServingStatus.NOT_SERVING;
  const services: ReadonlyMap<string, () => ServingStatus> = new Map([
    ["", ready],
    [Health.typeName, ready],
    ["readiness", ready],
    ["liveness", live],
  ]);

  return {
    check({ service }: HealthCheckRequest) {
      const status = services.get(service);
      if (status === undefined) {
        const known = [...services.keys()].map((name) => JSON.stringify(name)).join(", ");
        throw new ConnectError(
          `Unknown service ${JSON.stringify(service)}; known services: ${known}`,
          Code.NotFound,
        );
      }
      return { status: status() };
    },

    list() {
      const statuses = Array.from(services, ([name, status]) => [name, { status: status() }]);
      return { statuses: Object.fromEntries(statuses) };
    },

    async *watch({ service }: HealthCheckRequest, context: HandlerContext) {
      using ended = new AnySignal([context.signal, shutdownSignal]);
      const followed = follow({
        read: services.get(service) ?? (() => ServingStatus.SERVICE_UNKNOWN),
        same: (a, b) => a === b,
        subscribe: (listener) => registry.subscribe(listener),
        signal: ended.signal,
      });
      for await (const { value } of followed) yield { status: value };
      throw endOfStream(context.signal, shutdownSignal);
    },
  };
}
