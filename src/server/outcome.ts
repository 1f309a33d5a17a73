import { Code } from "@connectrpc/connect";
import { contentTypeOf, type Request } from "./handler.ts";

/** What a request speaks; `http` is everything that is no RPC. */
export type Protocol = "grpc" | "grpc-web" | "connect" | "http";

/** The protocol of a request. */
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

/** How an RPC ended, once its answer has been sent or given up; undefined when no RPC did. */
export function outcomeOf(request: Request): Code | "ok" | undefined {
  const { outcome } = request;
  // A stream that watches would have ended well, but its client has left.
  const hasLeft = request.hasLeft && (outcome === undefined || outcome === "ok");
  return hasLeft ? Code.Canceled : outcome;
}
