import { Code, ConnectError } from "@connectrpc/connect";
import type { ClientAuth } from "../config/mod.ts";
import { errorAnswer } from "./error_answer.ts";
import type { Handler, Request, Response } from "./handler.ts";
import { protocolOf } from "./outcome.ts";
import { PROBE_PATHS } from "./probes.ts";

/**
 * Passes on only requests of clients with a certificate. With `clientAuth` other than `require`,
 * probes need none.
 *
 * @param refuse Answers all others; see {@linkcode certificateRequired}.
 */
export function withClientCertificate(
  inner: Handler,
  clientAuth: ClientAuth,
  refuse: Handler,
): Handler {
  const open = clientAuth === "require" ? new Set<string>() : PROBE_PATHS;
  return (request) => {
    const isLetIn = request.hasClientCertificate || open.has(request.path);
    return (isLetIn ? inner : refuse)(request);
  };
}

/**
 * Refuses a request without a client certificate: UNAUTHENTICATED for RPCs, 403 for plain HTTP. A
 * 401 would have to name an authentication scheme, and TLS is none (RFC 9110, section 15.5.2).
 */
export function certificateRequired(request: Request): Response {
  const error = new ConnectError("a client certificate is required", Code.Unauthenticated);
  const isRpc = protocolOf(request) !== "http";
  if (isRpc) request.outcome = error.code;
  return errorAnswer(request, error, isRpc ? 401 : 403);
}
