import { type Response, textResponse } from "../handler.ts";

/** The method is not one that the RPC takes (RFC 9110, section 15.5.6). */
export function methodNotAllowed(allowed: readonly string[]): Response {
  const text = "405 Method Not Allowed: RPCs take POST, and GET where they have no side effects";
  return textResponse(405, text, { allow: allowed.join(", ") });
}

/** The content type is none of those that RPCs have. */
export function unsupportedMediaType(): Response {
  const text = "415 Unsupported Media Type: use application/json, application/proto, " +
    "application/connect+json, application/connect+proto, application/grpc or application/grpc-web";
  return textResponse(415, text);
}

/** The RPC cannot be had over HTTP/1.1. */
export function versionNotSupported(): Response {
  return textResponse(505, "505 HTTP Version Not Supported: this RPC needs HTTP/2");
}
