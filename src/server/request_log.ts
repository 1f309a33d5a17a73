import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import type { Logger } from "../telemetry/mod.ts";
import {
  contentTypeOf,
  type Handler,
  pathOf,
  peerKey,
  type Request,
  type Response,
  whenDone,
} from "./handler.ts";
import { outcomeKey } from "./interceptors.ts";

/** Codes that point at this service or its dependencies rather than at the caller. */
const SERVER_FAULTS: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
  Code.DeadlineExceeded,
]);

/** Paths that machines poll; changes of health have log events of their own. */
const PROBES: ReadonlySet<string> = new Set(["/livez", "/readyz", "/grpc.health.v1.Health/Check"]);

/** Logs each request once, when its answer has been sent or given up. */
export function requestLog(inner: Handler, logger: Logger): Handler {
  return async (request) => {
    const startedAt = performance.now();
    const response = await inner(request);
    const log = () => logRequest(logger, request, response, performance.now() - startedAt);
    if (response.body === undefined) {
      log();
      return response;
    }
    return { ...response, body: whenDone(response.body, log) };
  };
}

function logRequest(logger: Logger, request: Request, response: Response, duration: number): void {
  const code = outcomeOf(request, response);
  const path = pathOf(request);
  const failed = code === undefined
    ? response.status >= 500
    : code !== "ok" && SERVER_FAULTS.has(code);
  const level = PROBES.has(path) ? "debug" : failed ? "warn" : "info";
  logger[level]({
    event: "request",
    method: path,
    protocol: protocolOf(request),
    http: request.httpVersion,
    status: response.status,
    code: code === undefined || code === "ok" ? code : codeToString(code),
    duration_ms: Math.round(duration * 1000) / 1000,
    peer: request.contextValues.get(peerKey),
  }, "request");
}

function outcomeOf(request: Request, response: Response): Code | "ok" | undefined {
  const outcome = request.contextValues.get(outcomeKey);
  if (outcome !== undefined) return outcome;
  const status = response.trailer?.get("grpc-status");
  if (status === "0") return "ok";
  if (status != null) return Number(status);
  return request.signal.aborted ? Code.Canceled : undefined;
}

function protocolOf(request: Request): string {
  const contentType = contentTypeOf(request);
  if (contentType.startsWith("application/grpc-web")) return "grpc-web";
  if (contentType.startsWith("application/grpc")) return "grpc";
  if (contentType.startsWith("application/connect+")) return "connect";
  const unary = request.header.has("connect-protocol-version") ||
    contentType === "application/json" || contentType === "application/proto" ||
    new URL(request.url).searchParams.has("encoding");
  return unary ? "connect" : "http";
}
