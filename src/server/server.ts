import type { ConnectRouter } from "@connectrpc/connect";
import type { X509Certificate } from "node:crypto";
import type { ServerConfig } from "../config/mod.ts";
import type { Readiness } from "../health/mod.ts";
import { type Logger, RecordLimit } from "../log/mod.ts";
import { CallLimit } from "./call_limit.ts";
import { certificateRequired, withClientCertificate } from "./client_certificates.ts";
import { ClientGate } from "./client_gate.ts";
import { cors } from "./cors.ts";
import type { Exchange } from "./exchange.ts";
import { frontDoor } from "./front_door.ts";
import type { Handler } from "./handler.ts";
import { httpUrl } from "./http_url.ts";
import { Listener } from "./listener.ts";
import { notFound } from "./not_found.ts";
import { livez, PROBE_PATHS, readyz } from "./probes.ts";
import { requestLog } from "./request_log.ts";
import { observed, rpcHandlers, type RpcObserver } from "./rpc/mod.ts";
import { TlsReloader, type TlsReloaderOptions } from "./tls_reloader.ts";

/** Configuration and content of a {@linkcode Server}. */
export interface ServerOptions {
  readonly config: ServerConfig;
  readonly logger: Logger;
  /** Registers the RPC services. */
  readonly routes: (router: ConnectRouter) => void;
  /** Other plain HTTP handlers, by path. */
  readonly pages?: ReadonlyMap<string, Handler> | undefined;
  readonly observer?: RpcObserver | undefined;
  /** Called for every `/readyz`. */
  readonly readiness: () => Readiness;
  /** Interval of checks for changed TLS files; see {@linkcode TlsReloaderOptions}. */
  readonly tlsReloadIntervalMs?: TlsReloaderOptions["intervalMs"];
}

/** Serves gRPC, gRPC-Web, Connect and plain HTTP on one port. */
export class Server implements AsyncDisposable {
  readonly #listener: Listener;
  readonly #calls: CallLimit;
  readonly #config: ServerConfig;
  readonly #tls: TlsReloader | undefined;

  constructor(options: ServerOptions) {
    const { config } = options;
    this.#config = config;
    this.#calls = new CallLimit({
      max: config.maxConcurrentCalls,
      isProbe: ({ path }) => PROBE_PATHS.has(path),
      stallTimeoutMs: config.idleTimeoutMs,
    });
    this.#listener = new Listener({
      ...config,
      clientGate: clientGate(config, options.logger),
      onRequest: this.#frontDoor(options),
    });
    this.#tls = config.tls && new TlsReloader({
      material: config.tls,
      files: config.tls.files,
      apply: (material) => this.#listener.renewTls(material),
      logger: options.logger,
      intervalMs: options.tlsReloadIntervalMs,
    });
  }

  #frontDoor(options: ServerOptions): (exchange: Exchange) => void {
    const { config, logger } = options;
    const limit = new RecordLimit();
    return frontDoor({
      handler: this.#handler(options),
      calls: this.#calls,
      onError: (err) => {
        const { level, repeats } = limit.weigh("failed", "error");
        logger[level]({ event: "request.failed", ...repeats, err }, "A request failed");
      },
      onRefused: () => {
        const { level, repeats } = limit.weigh("refused", "warn");
        const max = config.maxConcurrentCalls;
        logger[level](
          { event: "request.refused", max, ...repeats },
          "Requests are refused: SERVER_MAX_CONCURRENT_CALLS or SERVER_MAX_CONNECTIONS is reached",
        );
      },
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
    let dispatch: Handler = (request) => (handlers.get(request.path) ?? unknown)(request);
    if (config.tls?.clientCa !== undefined) {
      const refuse = observed(certificateRequired, observer, {
        method: "unknown",
        isStream: false,
      });
      dispatch = withClientCertificate(dispatch, config.tls.clientAuth ?? "require", refuse);
    }
    return requestLog(cors(dispatch, config.corsAllowedOrigins), logger);
  }

  /**
   * Starts to listen.
   *
   * @returns The base URL of the server, as seen from this machine.
   * @throws {Error} With code EADDRINUSE, EADDRNOTAVAIL or EACCES if it cannot listen on the
   * address.
   */
  async listen(): Promise<URL> {
    const { host, port } = await this.#listener.listen();
    this.#tls?.start();
    const reachable = host === "0.0.0.0" || host === "::" ? "localhost" : host;
    return httpUrl({ host: reachable, port, isTls: this.#config.tls !== undefined });
  }

  /** Number of open client connections. */
  get connections(): number {
    return this.#listener.connections;
  }

  /** Calls in progress, refused calls, and abandoned answers. */
  get calls(): Pick<CallLimit, "inProgress" | "refused" | "stalled"> {
    return this.#calls;
  }

  /** The certificate for new connections; undefined in cleartext. */
  get certificate(): X509Certificate | undefined {
    return this.#tls?.certificate;
  }

  /**
   * Stops accepting, waits for requests in progress, and closes the rest after the shutdown timeout
   * or when `signal` aborts. Services must end streams that wait for events themselves.
   */
  async close(signal?: AbortSignal): Promise<void> {
    const timeout = AbortSignal.timeout(this.#config.shutdownTimeoutMs);
    const closed = this.#listener.close(signal ? AbortSignal.any([signal, timeout]) : timeout);
    await Promise.all([closed, this.#tls?.[Symbol.asyncDispose]()]);
    this.#calls[Symbol.dispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tls?.[Symbol.asyncDispose]();
    await this.#listener[Symbol.asyncDispose]();
    this.#calls[Symbol.dispose]();
  }
}

function clientGate(
  { tls, headerTimeoutMs: handshakeTimeoutMs }: ServerConfig,
  logger: Logger,
): ClientGate | undefined {
  if (tls?.clientCa === undefined) return undefined;
  const { clientCa, clientAuth = "require" } = tls;
  return new ClientGate({ clientCa, clientAuth, handshakeTimeoutMs, logger });
}
