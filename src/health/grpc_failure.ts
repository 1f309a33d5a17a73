import { Code, type ConnectError } from "@connectrpc/connect";
import { ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import type { Finding } from "./checker.ts";

/** Details of a failed call in addition to its error. */
export interface FailureContext {
  /** The name of the dependency in messages. */
  readonly title: string;
  /** The requested service; empty: the whole server. */
  readonly service: string;
  readonly timedOut: boolean;
  /** Error code of the connection, if it failed. */
  readonly connectionFailure: string | undefined;
}

/** The error of each connection failure. */
const CONNECTION_FAILURES: Readonly<Record<string, string>> = {
  CONNECTION_REFUSED: "The service refused the connection.",
  HOST_UNREACHABLE: "The host of the service is unreachable.",
  HOST_NOT_FOUND: "The host name of the service cannot be resolved.",
  CONNECT_TIMEOUT: "Connecting to the service timed out.",
  CONNECTION_LOST: "The connection to the service was lost.",
  TLS_FAILED: "The TLS connection to the service failed.",
};

/**
 * Explains a failed `grpc.health.v1` call. The message of the peer is left out, because it is not
 * trusted.
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
      "did not respond in time",
      "DEADLINE_EXCEEDED",
      "The health call timed out.",
    );
  }
  const connectionFailure = context.connectionFailure ??
    (isHangUp(failure) ? "CONNECTION_LOST" : undefined);
  if (connectionFailure !== undefined) {
    const sentence = CONNECTION_FAILURES[connectionFailure] ??
      "The connection to the service failed.";
    return unhealthy("is unreachable", connectionFailure, sentence);
  }
  if (failure.code === Code.Unimplemented) {
    // The peer responds, but its health is unknown. Servers without the health protocol respond
    // with UNIMPLEMENTED, or with HTTP 404, which means the same
    // (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
    return {
      status: ServiceStatus.DEGRADED,
      message: `${title} does not report its health`,
      error: "The service does not implement grpc.health.v1.Health.",
      errorCode: "UNIMPLEMENTED",
    };
  }
  if (!failure.metadata.has("grpc-status")) {
    return unhealthy(
      "is unreachable",
      "NO_GRPC_ANSWER",
      "The response is not from a gRPC server.",
    );
  }
  if (failure.code === Code.NotFound) {
    return unhealthy(
      "does not know the requested service",
      "NOT_FOUND",
      `The server reports no health for ${JSON.stringify(service)}; ` +
        "set another service in HEALTH_GRPC_DEPENDENCIES.",
    );
  }
  const code = Code[failure.code].replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return unhealthy("could not report its health", code, `The health call ended with ${code}.`);
}

/** Whether the peer closed the connection before it responded, which is no socket error. */
function isHangUp({ code, cause }: ConnectError): boolean {
  const causeCode = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === Code.Canceled || causeCode === "ERR_HTTP2_STREAM_ERROR";
}
