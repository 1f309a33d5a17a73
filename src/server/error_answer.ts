import { Buffer } from "node:buffer";
import type { ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamToJson,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { toBase64 } from "./base64.ts";
import { fromHeaders } from "./fields.ts";
import {
  contentTypeOf,
  type Fields,
  type Request,
  type Response,
  textResponse,
} from "./handler.ts";
import { protocolOf } from "./outcome.ts";

/** Escapes of printable ASCII other than the percent sign. */
const NEEDLESS_ESCAPE = /%(?:2[0-46-9A-F]|[3-6][0-9A-F]|7[0-9A-E])/gi;

/**
 * Removes unnecessary percent-encoding from `grpc-message`. Connect escapes all punctuation, which
 * the protocol does not require, and clients that decode with `decodeURI`, such as @grpc/grpc-js,
 * would show `%2F` instead of a slash.
 *
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Responses".
 */
export function readableMessage(trailer: Headers): Headers {
  const message = trailer.get("grpc-message");
  if (message) trailer.set("grpc-message", message.replace(NEEDLESS_ESCAPE, decodeURIComponent));
  return trailer;
}

/** Adds the gRPC status to header or trailer fields. */
export function grpcStatus(error: ConnectError | undefined, trailer = new Headers()): Headers {
  return readableMessage(setTrailerStatus(trailer, error));
}

/**
 * Answers a request with an error before an RPC has started, in the protocol of the request; plain
 * HTTP gets `httpStatus` and a line of text.
 *
 * Sources: gRPC over HTTP/2, gRPC-Web and Connect protocol references.
 */
export function errorAnswer(
  request: Request,
  error: ConnectError,
  httpStatus: number = codeToHttpStatus(error.code),
  header: Fields = {},
): Response {
  const contentType = contentTypeOf(request);
  const withType = { "content-type": contentType, ...header };
  switch (protocolOf(request)) {
    case "grpc":
      // Trailers-only, which is not subject to flow control.
      return { status: 200, header: { ...withType, ...fromHeaders(grpcStatus(error)) } };
    case "grpc-web": {
      const body = encodeEnvelope(trailerFlag, trailerSerialize(grpcStatus(error)));
      const isText = contentType.startsWith("application/grpc-web-text");
      return { status: 200, header: withType, body: isText ? toBase64(body) : body };
    }
    case "connect": {
      if (contentType.startsWith("application/connect+")) {
        const end = JSON.stringify(endStreamToJson(new Headers(), error, undefined));
        const body = encodeEnvelope(endStreamFlag, Buffer.from(end));
        return { status: 200, header: withType, body };
      }
      const body = errorToJsonBytes(error, undefined);
      const length = String(body.byteLength);
      return {
        status: httpStatus,
        header: { ...withType, "content-type": "application/json", "content-length": length },
        body,
      };
    }
    case "http":
      return textResponse(
        httpStatus,
        `${httpStatus} ${REASONS[httpStatus]}: ${error.rawMessage}`,
        header,
      );
  }
}

const REASONS: Readonly<Record<number, string>> = {
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  503: "Service Unavailable",
};
