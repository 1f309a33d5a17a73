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
 *
 * Methods whose clients send one message are served here; those whose clients send a stream, by
 * Connect's own handlers.
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

/** The options of one service or RPC: how its JSON is written and read. */
function withOwn(
  common: CommonRpcOptions,
  { jsonOptions, ...others }: Partial<UniversalHandlerOptions>,
): CommonRpcOptions {
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) {
    throw new TypeError(`${unknown} cannot be set for one service here; only jsonOptions can`);
  }
  return { ...common, jsonOptions: { ...common.jsonOptions, ...jsonOptions } };
}
