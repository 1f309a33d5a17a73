import { Code } from "@connectrpc/connect";
import { contentTypeOf, type Request, type Response } from "./handler.ts";
import { outcomeKey } from "./interceptors.ts";

/** What a request speaks; `http` is everything that is no RPC. */
export type Protocol = "grpc" | "grpc-web" | "connect" | "http";

/** The protocol of a request. */
export function protocolOf(request: Request): Protocol {
  const contentType = contentTypeOf(request);
  if (contentType.startsWith("application/grpc-web")) return "grpc-web";
  if (contentType.startsWith("application/grpc")) return "grpc";
  if (contentType.startsWith("application/connect+")) return "connect";
  const unary = request.header.has("connect-protocol-version") ||
    contentType === "application/json" || contentType === "application/proto" ||
    new URL(request.url).searchParams.has("encoding");
  return unary ? "connect" : "http";
}

/** How an RPC ended, once its answer has been sent or given up; undefined when no RPC did. */
export function outcomeOf(request: Request, response: Response): Code | "ok" | undefined {
  const outcome = request.contextValues.get(outcomeKey) ?? statusOf(response);
  // A stream that watches would have ended well, but its client has left.
  const hasLeft = request.signal.aborted && (outcome === undefined || outcome === "ok");
  return hasLeft ? Code.Canceled : outcome;
}

function statusOf({ trailer }: Response): Code | "ok" | undefined {
  const status = trailer?.get("grpc-status") ?? undefined;
  if (status === undefined) return undefined;
  return status === "0" ? "ok" : Number(status);
}
