import { Code } from "@connectrpc/connect";
import { contentTypeOf, type Request } from "./handler.ts";

/** Protocol of a request; `http` is everything that is no RPC. */
export type Protocol = "grpc" | "grpc-web" | "connect" | "http";

/** Returns the protocol of a request. */
export function protocolOf(request: Request): Protocol {
  const contentType = contentTypeOf(request);
  if (contentType.startsWith("application/grpc-web")) return "grpc-web";
  if (contentType.startsWith("application/grpc")) return "grpc";
  if (contentType.startsWith("application/connect+")) return "connect";
  const unary = contentType === "application/json" || contentType === "application/proto" ||
    request.field("connect-protocol-version") !== undefined ||
    (request.method === "GET" && /[?&]encoding=/.test(request.target));
  return unary ? "connect" : "http";
}

/**
 * Returns the result of an RPC whose answer was sent or abandoned; undefined if there was no RPC.
 */
export function outcomeOf(request: Request): Code | "ok" | undefined {
  const { outcome } = request;
  // A watch stream ends only when its client disconnects.
  const hasLeft = request.hasLeft && (outcome === undefined || outcome === "ok");
  return hasLeft ? Code.Canceled : outcome;
}
