import type { Request } from "../handler.ts";

/** Encoding of a call with one request message. */
export interface Wire {
  readonly kind: "grpc" | "grpc-web" | "grpc-web-text" | "connect-stream" | "connect-unary";
  readonly protocolName: "grpc" | "grpc-web" | "connect";
  /** Protobuf's binary format rather than JSON. */
  readonly isBinary: boolean;
  /** Content type of the answer. */
  readonly contentType: string;
  /** Header fields, by their names in lower case. */
  readonly encoding: string;
  readonly acceptEncoding: string;
  readonly timeout: string;
}

const GRPC = {
  encoding: "grpc-encoding",
  acceptEncoding: "grpc-accept-encoding",
  timeout: "grpc-timeout",
} as const;
const CONNECT = { protocolName: "connect", timeout: "connect-timeout-ms" } as const;

/** The protocols by media type, with the separator of the format suffix. */
const KINDS = [
  ["application/grpc", "+", { ...GRPC, kind: "grpc", protocolName: "grpc" }],
  ["application/grpc-web", "+", { ...GRPC, kind: "grpc-web", protocolName: "grpc-web" }],
  ["application/grpc-web-text", "+", { ...GRPC, kind: "grpc-web-text", protocolName: "grpc-web" }],
  ["application/connect", "+", {
    ...CONNECT,
    kind: "connect-stream",
    encoding: "connect-content-encoding",
    acceptEncoding: "connect-accept-encoding",
  }],
  ["application", "/", {
    ...CONNECT,
    kind: "connect-unary",
    encoding: "content-encoding",
    acceptEncoding: "accept-encoding",
  }],
] as const;

/** Text is UTF-8, which some clients declare. */
const CHARSETS = ["", ";charset=utf-8", "; charset=utf-8", ";charset=utf8", "; charset=utf8"];

const WIRES = new Map<string, Wire>();
for (const [type, separator, kind] of KINDS) {
  const proto = `${type}${separator}proto`;
  const json = `${type}${separator}json`;
  const binary: Wire = { ...kind, isBinary: true, contentType: proto };
  for (const charset of kind.kind === "grpc-web-text" ? CHARSETS : [""]) {
    WIRES.set(`${proto}${charset}`, binary);
    if (kind.protocolName !== "connect") WIRES.set(`${type}${charset}`, binary);
  }
  for (const charset of CHARSETS) {
    WIRES.set(`${json}${charset}`, { ...kind, isBinary: false, contentType: json });
  }
}

/**
 * Returns the encoding of a request; undefined if it is no RPC.
 *
 * Sources: gRPC over HTTP/2, gRPC-Web and Connect protocol references.
 */
export function wireOf(request: Request, query: URLSearchParams | undefined): Wire | undefined {
  if (query !== undefined) return WIRES.get(`application/${query.get("encoding")}`);
  return WIRES.get((request.field("content-type") ?? "").toLowerCase());
}
