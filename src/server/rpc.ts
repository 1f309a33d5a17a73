import { type ConnectRouter, createConnectRouter } from "@connectrpc/connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import type { Logger } from "../log/mod.ts";
import type { Handler } from "./handler.ts";
import { errorInterceptor } from "./interceptors.ts";
import { receivedInTime } from "./request_body.ts";
import { observed, type RpcObserver } from "./rpc_observer.ts";
import { explained } from "./refusals.ts";

/** What {@linkcode rpcHandlers} needs. */
export interface RpcOptions {
  /** Registers the services. */
  readonly routes: (router: ConnectRouter) => void;
  /** Largest request message, in bytes, compressed or not. */
  readonly maxRequestBytes: number;
  /** Time for a client to send a request message, in milliseconds. */
  readonly requestTimeoutMs: number;
  readonly observer?: RpcObserver | undefined;
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
      const rpc = {
        method: handler.requestPath.slice(1),
        isStream: handler.method.methodKind !== "unary",
      };
      const complete = explained(timely, handler.allowedMethods);
      return [handler.requestPath, observed(complete, options.observer, rpc)];
    }),
  );
}
