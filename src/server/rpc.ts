import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { Logger } from "../telemetry/mod.ts";
import type { Handler } from "./handler.ts";
import { errorInterceptor } from "./interceptors.ts";
import { receivedInTime } from "./request_body.ts";
import { explained } from "./refusals.ts";

/** What {@linkcode rpcHandlers} needs. */
export interface RpcOptions {
  /** Registers the services. */
  readonly routes: (router: ConnectRouter) => void;
  /** Largest request message, in bytes, compressed or not. */
  readonly maxRequestBytes: number;
  /** Time for a client to send a request message, in milliseconds. */
  readonly requestTimeoutMs: number;
  readonly logger: Logger;
}

/**
 * The handlers of all RPCs by path. Each speaks gRPC, gRPC-Web and Connect. JSON has the field
 * names of the .proto files and zeros are present, as in the specification's example.
 */
export function rpcHandlers(options: RpcOptions): ReadonlyMap<string, Handler> {
  const router = createConnectRouter({
    acceptCompression: [compressionGzip, compressionBrotli],
    interceptors: [errorInterceptor(options.logger)],
    jsonOptions: { alwaysEmitImplicit: true, useProtoFieldName: true },
    readMaxBytes: options.maxRequestBytes,
  });
  options.routes(router);
  return new Map(
    router.handlers.map((handler) => {
      const timely = receivedInTime(handler, options.requestTimeoutMs);
      return [handler.requestPath, explained(timely, handler.allowedMethods)];
    }),
  );
}
