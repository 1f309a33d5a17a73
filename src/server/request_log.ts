import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { type Logger, RecordLimit } from "../log/mod.ts";
import {
  afterwards,
  type Handler,
  pathOf,
  peerKey,
  type Request,
  type Response,
} from "./handler.ts";
import { outcomeOf, protocolOf } from "./outcome.ts";
import { inRpcKey } from "./rpc_observer.ts";

/** Codes that point at this service or its dependencies rather than at the caller. */
const SERVER_FAULTS: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
  Code.DeadlineExceeded,
]);

/** Paths that machines poll; changes of health have log events of their own. */
const PROBES: ReadonlySet<string> = new Set([
  "/livez",
  "/readyz",
  "/metrics",
  "/grpc.health.v1.Health/Check",
]);

const AS_PROBE = { level: "debug", repeats: {} } as const;
const AS_USUAL = { level: "info", repeats: {} } as const;

/**
 * Logs each request once, when its answer has been sent or given up. Of those that fail in the same
 * way, as all may do in an outage, most are logged at level debug.
 */
export function requestLog(inner: Handler, logger: Logger): Handler {
  const limit = new RecordLimit();
  return async (request) => {
    const startedAt = performance.now();
    const response = await inner(request);
    const inRpc = request.contextValues.get(inRpcKey);
    const log = () => {
      const duration = performance.now() - startedAt;
      logRequest({ logger, limit }, request, response, duration);
    };
    return afterwards(request, response, () => inRpc(log));
  };
}

function logRequest(
  { logger, limit }: { readonly logger: Logger; readonly limit: RecordLimit },
  request: Request,
  response: Response,
  duration: number,
): void {
  const code = outcomeOf(request, response);
  const path = pathOf(request);
  const failed = code === undefined
    ? response.status >= 500
    : code !== "ok" && SERVER_FAULTS.has(code);
  const name = code === undefined || code === "ok" ? code : codeToString(code);
  const kind = name === undefined ? `http ${response.status}` : `${path} ${name}`;
  const { level, repeats } = PROBES.has(path)
    ? AS_PROBE
    : failed
    ? limit.weigh(kind, "warn")
    : AS_USUAL;
  logger[level]({
    event: "request",
    method: path,
    protocol: protocolOf(request),
    http: request.httpVersion,
    status: response.status,
    code: name,
    duration_ms: Math.round(duration * 1000) / 1000,
    peer: request.contextValues.get(peerKey),
    ...repeats,
  }, "request");
}
