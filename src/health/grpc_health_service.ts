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

/** Settings of {@linkcode createGrpcHealthService}. */
export interface GrpcHealthServiceOptions {
  readonly registry: HealthRegistry;
  /** Ends every Watch stream with UNAVAILABLE; everything but liveness is NOT_SERVING before. */
  readonly shutdownSignal: AbortSignal;
}

/**
 * Implements `grpc.health.v1.Health` for probes and load balancers
 * (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
 *
 * `liveness` is SERVING while the process runs: it asks no other system, because a restart cures
 * nobody else. `readiness`, the service's own name and "" (the whole server) follow readiness.
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
          `There is no service ${JSON.stringify(service)}; known are: ${known}`,
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
