import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext, type ServiceImpl } from "@connectrpc/connect";
import {
  Freshness,
  type GetHealthRequest,
  type GetHealthResponseSchema,
  type Health,
  type WatchHealthRequest,
  WatchHealthResponse_Reason,
  type WatchHealthResponseSchema,
} from "../../gen/treasury/v1/health_pb.ts";
import { AnySignal } from "../time.ts";
import { systemWallClock, type WallClock } from "./clock.ts";
import { follow } from "./follow.ts";
import type { HealthHistory } from "./history.ts";
import { type HealthRegistry, UnknownDependencyError } from "./registry.ts";
import { type HealthReport, sameStory } from "./report.ts";
import { endOfStream } from "./stream_end.ts";

/** What {@linkcode createHealthService} serves. */
export interface HealthServiceOptions {
  /** Provides the health. */
  readonly registry: HealthRegistry;
  /** Provides recent events to watchers. Default: no events. */
  readonly history?: HealthHistory | undefined;
  /** Version of the service. */
  readonly version: string;
  /** When the service started, for its uptime. */
  readonly startedAt: Date;
  /** Interval at which WatchHealth repeats an unchanged health, in milliseconds. */
  readonly heartbeatMs: number;
  /** Ends every WatchHealth stream with UNAVAILABLE. */
  readonly shutdownSignal: AbortSignal;
  /** Default: the system clock. */
  readonly clock?: WallClock;
}

const REASONS = {
  initial: WatchHealthResponse_Reason.INITIAL,
  change: WatchHealthResponse_Reason.CHANGE,
  heartbeat: WatchHealthResponse_Reason.HEARTBEAT,
};

/** Implements `treasury.v1.Health`. */
export function createHealthService(options: HealthServiceOptions): ServiceImpl<typeof Health> {
  const { registry, version, startedAt, clock = systemWallClock } = options;

  function answer(report: HealthReport): MessageInitShape<typeof GetHealthResponseSchema> {
    const uptimeMs = clock.date().getTime() - startedAt.getTime();
    return {
      ...report,
      dependencies: [...report.dependencies],
      version,
      uptimeSeconds: Math.max(0, Math.floor(uptimeMs / 1000)),
    };
  }

  return {
    async getHealth({ dependency, freshness }: GetHealthRequest, { signal }: HandlerContext) {
      const options = { dependency, signal };
      const report = freshness === Freshness.CACHED
        ? registry.cached(options)
        : registry.check(options);
      return answer(await report.catch(rethrow));
    },

    async *watchHealth(
      { dependency }: WatchHealthRequest,
      context: HandlerContext,
    ): AsyncGenerator<MessageInitShape<typeof WatchHealthResponseSchema>> {
      using ended = new AnySignal([context.signal, options.shutdownSignal]);
      const { signal } = ended;
      const first = await registry.cached({ dependency, signal }).catch(rethrow);
      const followed = follow({
        read: () => registry.latest(dependency) ?? first,
        same: sameStory,
        subscribe: (listener) => registry.subscribe(listener),
        signal,
        heartbeatMs: options.heartbeatMs,
        clock,
      });
      for await (const { reason, value } of followed) {
        const recentEvents = reason === "heartbeat"
          ? []
          : options.history?.events(dependency) ?? [];
        yield { reason: REASONS[reason], health: answer(value), recentEvents: [...recentEvents] };
      }
      throw endOfStream(context.signal, options.shutdownSignal);
    },
  };
}

function rethrow(error: unknown): never {
  if (error instanceof UnknownDependencyError) {
    throw new ConnectError(error.message, Code.NotFound);
  }
  throw error;
}
