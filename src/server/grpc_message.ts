import { type Handler, whenDone } from "./handler.ts";

/** Escapes of printable ASCII other than the percent sign. */
const NEEDLESS_ESCAPE = /%(?:2[0-46-9A-F]|[3-6][0-9A-F]|7[0-9A-E])/gi;

/**
 * Sends the status message of gRPC with no more escapes than the protocol asks for. Connect escapes
 * every punctuation mark, and clients that decode with `decodeURI`, such as @grpc/grpc-js, would show
 * `%2F` for a slash.
 *
 * Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Responses".
 */
export function readableGrpcMessage(inner: Handler): Handler {
  return async (request) => {
    const response = await inner(request);
    const { trailer, body } = response;
    if (trailer === undefined) return response;
    const rewrite = () => {
      const message = trailer.get("grpc-message");
      if (message) {
        trailer.set("grpc-message", message.replace(NEEDLESS_ESCAPE, decodeURIComponent));
      }
    };
    if (body !== undefined) return { ...response, body: whenDone(body, rewrite) };
    rewrite();
    return response;
  };
}
