import { Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  endStreamFlag,
  endStreamToJson,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import {
  setTrailerStatus,
  trailerFlag,
  trailerSerialize,
} from "@connectrpc/connect/protocol-grpc-web";
import {
  contentTypeOf,
  pathOf,
  type Request,
  type Response,
  response,
  single,
  textResponse,
} from "./handler.ts";
import { outcomeKey } from "./interceptors.ts";
import { protocolOf } from "./outcome.ts";

/**
 * Says that nothing answers at this path, in the protocol that asked: gRPC and gRPC-Web get status
 * UNIMPLEMENTED, Connect gets an error in JSON, everything else plain text.
 *
 * Sources: gRPC over HTTP/2, gRPC-Web and Connect protocol references.
 */
export function notFound(request: Request): Promise<Response> {
  const error = new ConnectError(`nothing answers at ${pathOf(request)}`, Code.Unimplemented);
  if (protocolOf(request) !== "http") request.contextValues.set(outcomeKey, error.code);
  return Promise.resolve(answer(request, error));
}

function answer(request: Request, error: ConnectError): Response {
  const contentType = contentTypeOf(request);
  const header = new Headers({ "content-type": contentType });
  if (contentType.startsWith("application/grpc-web")) {
    const trailer = trailerSerialize(setTrailerStatus(new Headers(), error));
    return { status: 200, header, body: single(encodeEnvelope(trailerFlag, trailer)) };
  }
  if (contentType.startsWith("application/grpc")) {
    return { status: 200, header, trailer: setTrailerStatus(new Headers(), error) };
  }
  if (contentType.startsWith("application/connect+")) {
    const end = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
    const envelope = encodeEnvelope(endStreamFlag, new TextEncoder().encode(end));
    return { status: 200, header, body: single(envelope) };
  }
  if (contentType === "application/json" || contentType === "application/proto") {
    return response(request, 404, "application/json", errorToJsonBytes(error, undefined));
  }
  return textResponse(request, 404, `404 Not Found: ${error.rawMessage}`);
}
