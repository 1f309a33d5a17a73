import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Health, HealthCheckResponse_ServingStatus } from "../../gen/grpc/health/v1/health_pb.ts";
import {
  type DependencyHealth,
  DependencyType,
  ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
import type { GrpcDependencyConfig } from "../config/mod.ts";
import { AnySignal } from "../time.ts";
import { CheckTimer, type DependencyChecker, type Finding, OVERRUN_MARGIN_MS } from "./checker.ts";
import { systemWallClock, type WallClock } from "./clock.ts";
import { explainFailure } from "./grpc_failure.ts";
import { GrpcPeer } from "./grpc_peer.ts";

/** Settings of a {@linkcode GrpcChecker}. */
export interface GrpcCheckerOptions {
  readonly dependency: GrpcDependencyConfig;
  /** Limit of one check, in milliseconds. */
  readonly timeoutMs: number;
  /** Authorities that an https: peer's certificate may come from, as PEM; default: the runtime's. */
  readonly rootCert?: string;
  readonly clock?: WallClock;
}

/**
 * Asks a gRPC service for its own health with `grpc.health.v1.Health/Check`
 * (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
 *
 * ```ts ignore
 * await using checker = new GrpcChecker({
 *   dependency: { name: "ledger-service", url: "http://localhost:50051", critical: true, service: "" },
 *   timeoutMs: 5_000,
 * });
 * ```
 */
export class GrpcChecker implements DependencyChecker, AsyncDisposable {
  readonly name: string;
  readonly type = DependencyType.GRPC_SERVICE;
  readonly critical: boolean;
  readonly target: DependencyChecker["target"];
  readonly timeoutMs: number;
  /** What people call the dependency: "Ledger service" for `ledger-service`. */
  readonly #title: string;
  readonly #service: string;
  readonly #callTimeoutMs: number;
  readonly #clock: WallClock;
  readonly #peer: GrpcPeer;
  readonly #client: Client<typeof Health>;
  readonly #closing = new AbortController();

  constructor({ dependency, timeoutMs, rootCert, clock = systemWallClock }: GrpcCheckerOptions) {
    this.name = dependency.name;
    this.critical = dependency.critical;
    this.timeoutMs = timeoutMs + OVERRUN_MARGIN_MS;
    this.#title = title(dependency.name);
    this.#service = dependency.service;
    this.#callTimeoutMs = timeoutMs;
    this.#clock = clock;
    this.#peer = new GrpcPeer(dependency.url, rootCert);
    this.target = { hostname: this.#peer.hostname, port: this.#peer.port, protocol: "grpc" };
    this.#client = createClient(
      Health,
      createGrpcTransport({ baseUrl: dependency.url, sessionManager: this.#peer }),
    );
  }

  async check(signal: AbortSignal): Promise<DependencyHealth> {
    const timer = new CheckTimer(this.#clock);
    const deadline = this.#clock.now() + this.#callTimeoutMs;
    using ended = new AnySignal([signal, this.#closing.signal]);
    return timer.result(this, await this.#ask(ended.signal, deadline));
  }

  /** Closes the connection; a check that is running fails at once, and none succeeds after it. */
  [Symbol.asyncDispose](): Promise<void> {
    // On Deno the end of its session does not end a call.
    this.#closing.abort();
    this.#peer.disconnect();
    return Promise.resolve();
  }

  async #ask(signal: AbortSignal, deadline: number): Promise<Finding> {
    const kept = this.#peer.connected;
    try {
      const timeoutMs = Math.max(1, Math.ceil(deadline - this.#clock.now()));
      const request = { service: this.#service };
      const { status } = await this.#client.check(request, { signal, timeoutMs });
      return this.#found(status);
    } catch (error) {
      const failure = ConnectError.from(error);
      const timedOut = signal.aborted || failure.code === Code.DeadlineExceeded;
      const { failure: connectionFailure } = this.#peer;
      // Whatever went wrong, the next check begins with a new connection.
      this.#peer.disconnect();
      // A kept connection may have died since the last check, as when the peer was restarted: only
      // a new one says how the peer is now.
      if (kept && !timedOut) return await this.#ask(signal, deadline);
      return explainFailure(failure, {
        title: this.#title,
        service: this.#service,
        timedOut,
        connectionFailure,
      });
    }
  }

  #found(status: HealthCheckResponse_ServingStatus): Finding {
    if (status === HealthCheckResponse_ServingStatus.SERVING) {
      return { status: ServiceStatus.HEALTHY, message: `${this.#title} is healthy` };
    }
    const reported = HealthCheckResponse_ServingStatus[status] ?? String(status);
    return {
      status: ServiceStatus.UNHEALTHY,
      message: `${this.#title} is not serving`,
      error: `The service reports ${reported}.`,
      errorCode: "NOT_SERVING",
    };
  }
}

function title(name: string): string {
  const words = name.replaceAll(/[-_.]+/g, " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}
