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
import {
  CheckTimer,
  type DependencyChecker,
  type DependencyTarget,
  type Finding,
  OVERRUN_MARGIN_MS,
} from "./checker.ts";
import { systemWallClock, type WallClock } from "./clock.ts";
import { explainFailure } from "./grpc_failure.ts";
import { GrpcPeer } from "./grpc_peer.ts";

/** The dependency that a {@linkcode GrpcChecker} checks. */
export interface GrpcCheckerOptions {
  /** Its name, URL and service. */
  readonly dependency: GrpcDependencyConfig;
  /** Time limit of one check, in milliseconds. */
  readonly timeoutMs: number;
  /** CA certificates to trust for https:, as PEM. Default: those of the runtime. */
  readonly rootCert?: string;
  /** Default: the system clock. */
  readonly clock?: WallClock;
}

/**
 * Checks a gRPC service with `grpc.health.v1.Health/Check`
 * (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
 *
 * ```ts
 * await using checker = new GrpcChecker({
 *   dependency: { name: "ledger-service", url: "http://localhost:50051", critical: true, service: "" },
 *   timeoutMs: 5_000,
 * });
 * ```
 */
export class GrpcChecker implements DependencyChecker, AsyncDisposable {
  readonly name: string;
  /** Always GRPC_SERVICE. */
  readonly type: DependencyType = DependencyType.GRPC_SERVICE;
  readonly critical: boolean;
  /** Host and port of its URL. */
  readonly target: DependencyTarget;
  readonly timeoutMs: number;
  /** The name in messages: "Ledger service" for `ledger-service`. */
  readonly #title: string;
  readonly #service: string;
  readonly #callTimeoutMs: number;
  readonly #clock: WallClock;
  readonly #peer: GrpcPeer;
  readonly #client: Client<typeof Health>;
  readonly #closing = new AbortController();

  /** Opens no connection: the first check does. */
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

  /** Calls Check, on the kept connection if there is one. Never rejects for an outage. */
  async check(signal: AbortSignal): Promise<DependencyHealth> {
    const timer = new CheckTimer(this.#clock);
    const deadline = this.#clock.now() + this.#callTimeoutMs;
    using ended = new AnySignal([signal, this.#closing.signal]);
    return timer.result(this, await this.#ask(ended.signal, deadline));
  }

  /** Closes the connection. A running check fails at once, and so do later ones. */
  [Symbol.asyncDispose](): Promise<void> {
    // On Deno, closing the session does not end a call.
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
      // After any error, the next check opens a new connection.
      this.#peer.disconnect();
      // A kept connection may have been lost since the last check, for example because the peer
      // restarted, so only a new connection shows the current health.
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
