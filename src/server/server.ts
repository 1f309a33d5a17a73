import type { ConnectRouter } from "@connectrpc/connect";
import type { ServerConfig } from "../config/mod.ts";
import type { Readiness } from "../health/mod.ts";
import type { Logger } from "../log/mod.ts";
import { cors } from "./cors.ts";
import { readableGrpcMessage } from "./grpc_message.ts";
import { grpcWebText } from "./grpc_web_text.ts";
import { type Handler, pathOf, type Request } from "./handler.ts";
import { httpUrl } from "./http_url.ts";
import { Listener } from "./listener.ts";
import { nodeHandler } from "./node_handler.ts";
import { notFound } from "./not_found.ts";
import { livez, readyz } from "./probes.ts";
import { requestLog } from "./request_log.ts";
import { rpcHandlers } from "./rpc.ts";
import { observed, type RpcObserver } from "./rpc_observer.ts";

/** What a {@linkcode Server} serves. */
export interface ServerOptions {
  readonly config: ServerConfig;
  readonly logger: Logger;
  /** Registers the RPC services. */
  readonly routes: (router: ConnectRouter) => void;
  /** What else is served over plain HTTP, by path. */
  readonly pages?: ReadonlyMap<string, Handler> | undefined;
  readonly observer?: RpcObserver | undefined;
  /** Asked by every `/readyz`. */
  readonly readiness: () => Readiness;
}

/** Serves gRPC, gRPC-Web, Connect and plain HTTP on one port. */
export class Server implements AsyncDisposable {
  readonly #listener: Listener;
  readonly #config: ServerConfig;

  constructor(options: ServerOptions) {
    const { config, logger } = options;
    this.#config = config;
    this.#listener = new Listener({
      ...config,
      tls: config.tls && { cert: config.tls.cert, key: config.tls.key.reveal() },
      onRequest: nodeHandler(
        this.#handler(options),
        (err) => logger.error({ event: "request.failed", err }, "A request failed"),
      ),
    });
  }

  #handler(options: ServerOptions): Handler {
    const { config, logger, observer } = options;
    const handlers = new Map<string, Handler>([
      ["/livez", livez()],
      ["/readyz", readyz(options.readiness)],
      ...options.pages ?? [],
      ...rpcHandlers({
        routes: options.routes,
        maxRequestBytes: config.maxRequestBytes,
        requestTimeoutMs: config.requestTimeoutMs,
        observer,
        logger,
      }),
    ]);
    const unknown = observed(notFound, observer, { method: "unknown", isStream: false });
    const dispatch = (request: Request) => (handlers.get(pathOf(request)) ?? unknown)(request);
    return requestLog(
      cors(grpcWebText(readableGrpcMessage(dispatch)), config.corsAllowedOrigins),
      logger,
    );
  }

  /**
   * Starts to listen.
   *
   * @returns the base URL that this machine can reach the server by
   * @throws {Error} with code EADDRINUSE, EADDRNOTAVAIL or EACCES when the port cannot be had
   */
  async listen(): Promise<URL> {
    const { host, port } = await this.#listener.listen();
    const reachable = host === "0.0.0.0" || host === "::" ? "localhost" : host;
    return httpUrl({ host: reachable, port, isTls: this.#config.tls !== undefined });
  }

  /** Client connections that are open now. */
  get connections(): number {
    return this.#listener.connections;
  }

  /**
   * Stops accepting, lets the requests in flight finish, and cuts what is still running after the
   * configured shutdown timeout or when `signal` aborts. Streams that wait for news must be ended
   * by their services.
   */
  async close(signal?: AbortSignal): Promise<void> {
    const timeout = AbortSignal.timeout(this.#config.shutdownTimeoutMs);
    await this.#listener.close(signal ? AbortSignal.any([signal, timeout]) : timeout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#listener[Symbol.asyncDispose]();
  }
}
