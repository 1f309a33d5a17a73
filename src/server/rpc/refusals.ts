import { type Response, textResponse } from "../handler.ts";

/** 405: the RPC does not support the method (RFC 9110, section 15.5.6). */
export function methodNotAllowed(allowed: readonly string[]): Response {
  const text = "405 Method Not Allowed: use POST, or GET for RPCs without side effects";
  return textResponse(405, text, { allow: allowed.join(", ") });
}

/** 415: the content type is not one of an RPC protocol. */
export function unsupportedMediaType(): Response {
  const text = "415 Unsupported Media Type: use application/json, application/proto, " +
    "application/connect+json, application/connect+proto, application/grpc or application/grpc-web";
  return textResponse(415, text);
}

/** 505: the RPC is not available over HTTP/1.1. */
export function versionNotSupported(): Response {
  return textResponse(505, "505 HTTP Version Not Supported: this RPC requires HTTP/2");
}
