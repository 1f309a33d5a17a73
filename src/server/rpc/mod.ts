import {
  type ConnectRouter,
  createConnectRouter,
  createMethodImplSpec,
  createServiceImplSpec,
  type MethodImplSpec,
} from "@connectrpc/connect";
import { compressionBrotli, compressionGzip } from "@connectrpc/connect-node";
import { createMethodUrl, type UniversalHandlerOptions } from "@connectrpc/connect/protocol";
import type { Logger } from "../../log/mod.ts";
import type { Handler } from "../handler.ts";
import { streamRpc } from "./stream_rpc.ts";
import type { CommonRpcOptions } from "./options.ts";
import { oneMessageRpc } from "./one_message_rpc.ts";
import { RpcErrors } from "./rpc_errors.ts";
import { observed, type RpcObserver } from "./rpc_observer.ts";

export { observed, type ReadField, type RpcCall } from "./rpc_observer.ts";
export type { RpcObserver, RunningRpc } from "./rpc_observer.ts";

/** Services and limits of {@linkcode rpcHandlers}. */
export interface RpcOptions {
  /** Registers the services. */
  readonly routes: (router: ConnectRouter) => void;
  /** Maximum size of a request message, in bytes, compressed or not. */
  readonly maxRequestBytes: number;
  /** Maximum time for a client to send a request message, in milliseconds. */
  readonly requestTimeoutMs: number;
  readonly observer?: RpcObserver | undefined;
  readonly logger: Logger;
}

/**
 * Returns the handlers of all RPCs by path. Each supports gRPC, gRPC-Web and Connect. JSON uses the
 * field names of the .proto files and includes zero values, as in the example of the specification.
 *
 * Methods with a single request message are served by this module; methods with a stream of
 * requests by the handlers of Connect.
 */
export function rpcHandlers(options: RpcOptions): ReadonlyMap<string, Handler> {
  const { observer, maxRequestBytes, requestTimeoutMs } = options;
  const common: CommonRpcOptions = {
    errors: new RpcErrors(options.logger),
    maxRequestBytes,
    requestTimeoutMs,
    compressions: [compressionGzip, compressionBrotli],
    jsonOptions: { alwaysEmitImplicit: true, useProtoFieldName: true },
  };
  const handlers = new Map<string, Handler>();
  const add = (spec: MethodImplSpec, own: Partial<UniversalHandlerOptions> = {}) => {
    const { method } = spec;
    const options = withOwn(common, own);
    const path = createMethodUrl("/", method);
    const isUnary = spec.kind === "unary";
    const handler = isUnary || spec.kind === "server_streaming"
      ? oneMessageRpc(spec, options)
      : streamRpc(spec, options);
    handlers.set(path, observed(handler, observer, { method: path.slice(1), isStream: !isUnary }));
  };
  const router: ConnectRouter = {
    ...createConnectRouter(),
    service(service, implementation, own) {
      const { methods } = createServiceImplSpec(service, implementation);
      for (const spec of Object.values(methods)) add(spec, own);
      return this;
    },
    rpc(method, implementation, own) {
      add(createMethodImplSpec(method, implementation), own);
      return this;
    },
  };
  options.routes(router);
  return handlers;
}

/** Merges the options of one service or RPC: only its JSON options may differ. */
function withOwn(
  common: CommonRpcOptions,
  { jsonOptions, ...others }: Partial<UniversalHandlerOptions>,
): CommonRpcOptions {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new TypeError(`${unknown} cannot be set for a single service; only jsonOptions can`);
  }
  return { ...common, jsonOptions: { ...common.jsonOptions, ...jsonOptions } };
}
