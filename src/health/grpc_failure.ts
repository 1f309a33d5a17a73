import { Code, type ConnectError } from "@connectrpc/connect";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import type { Finding } from "./checker.ts";

/** What is known about a failed call besides its error. */
export interface FailureContext {
  /** The dependency as people call it. */
  readonly title: string;
  /** The service whose health was asked for; empty means the whole server. */
  readonly service: string;
  readonly timedOut: boolean;
  /** Code of why the connection failed, if it did. */
  readonly connectionFailure: string | undefined;
}

/** One sentence for each way in which a connection fails. */
const CONNECTION_FAILURES: Readonly<Record<string, string>> = {
  CONNECTION_REFUSED: "The service refuses connections.",
  HOST_UNREACHABLE: "The service's host cannot be reached.",
  HOST_NOT_FOUND: "The service's host name cannot be resolved.",
  CONNECT_TIMEOUT: "The service did not accept a connection in time.",
  CONNECTION_LOST: "The connection to the service was lost.",
  TLS_FAILED: "No secure connection to the service could be made.",
};

/**
 * Says what a failed `grpc.health.v1` call means. The peer's own words are left out: they come from
 * outside, and nobody knows what is in them.
 */
export function explainFailure(failure: ConnectError, context: FailureContext): Finding {
  const { title, service, timedOut } = context;
  const unhealthy = (message: string, errorCode: string, error: string): Finding => ({
    status: ServiceStatus.UNHEALTHY,
    message: `${title} ${message}`,
    error,
    errorCode,
  });

  if (timedOut) {
    return unhealthy(
      "did not answer in time",
      "DEADLINE_EXCEEDED",
      "The health call took too long.",
    );
  }
  const connectionFailure = context.connectionFailure ??
    (isHangUp(failure) ? "CONNECTION_LOST" : undefined);
  if (connectionFailure !== undefined) {
    const sentence = CONNECTION_FAILURES[connectionFailure] ??
      "No connection to the service could be made.";
    return unhealthy("cannot be reached", connectionFailure, sentence);
  }
  if (failure.code === Code.Unimplemented) {
    // It answers, so it is there; but whether it is well, nobody can say. Servers that know nothing
    // of the health protocol answer with gRPC's UNIMPLEMENTED or with HTTP's 404, which means the
    // same (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
    return {
      status: ServiceStatus.DEGRADED,
      message: `${title} does not report its health`,
      error: "The service does not implement grpc.health.v1.Health.",
      errorCode: "UNIMPLEMENTED",
    };
  }
  if (!failure.metadata.has("grpc-status")) {
    return unhealthy(
      "cannot be reached",
      "NO_GRPC_ANSWER",
      "The answer is not from a gRPC server.",
    );
  }
  if (failure.code === Code.NotFound) {
    return unhealthy(
      "does not know the service asked for",
      "NOT_FOUND",
      `The server has no health for ${JSON.stringify(service)}; ` +
        "set another service in HEALTH_GRPC_DEPENDENCIES.",
    );
  }
  const code = Code[failure.code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return unhealthy("failed to report its health", code, `The health call ended with ${code}.`);
}

/** Whether the peer ended the connection before it answered; that is no error of the socket. */
function isHangUp({ code, cause }: ConnectError): boolean {
  const causeCode = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === Code.Canceled || causeCode === "ERR_HTTP2_STREAM_ERROR";
}
