import { Code, ConnectError } from "@connectrpc/connect";
import { errorAnswer } from "./error_answer.ts";
import type { Request, Response } from "./handler.ts";
import { protocolOf } from "./outcome.ts";

/**
 * Answers a request for an unknown path, in the protocol of the request: gRPC and gRPC-Web get
 * status UNIMPLEMENTED, Connect gets an error in JSON, everything else plain text.
 */
export function notFound(request: Request): Response {
  const error = new ConnectError(`unknown path ${request.path}`, Code.Unimplemented);
  if (protocolOf(request) !== "http") request.outcome = error.code;
  return errorAnswer(request, error, 404);
}
