import { createContextValues } from "@connectrpc/connect";
import {
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import { type Handler, peerKey, type Request } from "./handler.ts";
import type { NodeServerRequest, NodeServerResponse } from "./node_types.ts";

/**
 * Adapts a {@linkcode Handler} to the request callback of node:http and node:http2.
 *
 * @param onError Told of errors that no client can be told of any more.
 */
export function nodeHandler(
  handler: Handler,
  onError: (error: unknown) => void,
): (request: NodeServerRequest, response: NodeServerResponse) => void {
  return (nodeRequest, nodeResponse) => {
    nodeRequest.on("error", () => {});
    nodeResponse.on("error", () => {});
    dropUnreadRequest(nodeRequest, nodeResponse);

    const request = toRequest(nodeRequest, nodeResponse);
    if (request === undefined) return refuse(nodeResponse);

    // The promise of universalResponseToNodeResponse stays pending after success: it waits for an
    // event that responses do not emit. Only its failure is of use.
    handler(request)
      .then((response) => universalResponseToNodeResponse(response, nodeResponse))
      .catch((error) => {
        if (!request.signal.aborted) onError(error);
        cut(nodeResponse);
      });
  };
}

function toRequest(
  nodeRequest: NodeServerRequest,
  nodeResponse: NodeServerResponse,
): Request | undefined {
  const { remoteAddress, remotePort } = nodeRequest.socket;
  const peer = remoteAddress === undefined ? "" : `${remoteAddress}:${remotePort}`;
  const contextValues = createContextValues().set(peerKey, peer);
  try {
    const request = universalRequestFromNodeRequest(
      nodeRequest,
      nodeResponse,
      undefined,
      contextValues,
    );
    return { ...request, body: request.body as AsyncIterable<Uint8Array>, contextValues };
  } catch {
    // No Host, or a target that is no URL: HTTP/1.1 wants 400 (RFC 9112, section 3.2).
    return undefined;
  }
}

/** How long a client may take to notice an answer that came before the end of its request. */
const LINGER_MS = 1_000;

/** An answer can end before its request: the rest of the request is then of no use to anybody. */
function dropUnreadRequest(request: NodeServerRequest, response: NodeServerResponse): void {
  // On Deno a connection that has ended is no longer known to its request.
  const { socket } = request;
  response.once("finish", () => {
    if (request.complete) return;
    if ("stream" in request) return request.stream.close();
    // Closing with unread bytes resets the connection, and the answer could be lost with it.
    request.resume();
    if (socket.destroyed) return;
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
  });
}

function refuse(response: NodeServerResponse): void {
  const writable = response as import("node:http").ServerResponse;
  writable.writeHead(400, { "content-type": "text/plain; charset=utf-8" });
  writable.end("400 Bad Request: the request needs a valid target and a Host header\n");
}

function cut(response: NodeServerResponse): void {
  if ("stream" in response) response.stream?.close(HTTP2_INTERNAL_ERROR);
  else response.destroy();
}

/** INTERNAL_ERROR of RFC 9113, section 7. */
const HTTP2_INTERNAL_ERROR = 2;
