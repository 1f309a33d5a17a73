import type http from "node:http";
import type http2 from "node:http2";

/** A request of node:http or of node:http2's compatibility API. */
export type NodeServerRequest = http.IncomingMessage | http2.Http2ServerRequest;

/** A response of node:http or of node:http2's compatibility API. */
export type NodeServerResponse = http.ServerResponse | http2.Http2ServerResponse;
