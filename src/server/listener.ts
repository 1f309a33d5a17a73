import { Buffer } from "node:buffer";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { Duplex } from "node:stream";
import type { AddressInfo, Socket } from "node:net";
import type { NodeServerRequest, NodeServerResponse } from "./node_types.ts";
import { guardHttp2Session } from "./http2_limits.ts";

/** Settings of a {@linkcode Listener}. Durations are in milliseconds. */
export interface ListenerOptions {
  readonly host: string;
  /** 0 means any free port. */
  readonly port: number;
  /** PEM texts; without it the port speaks cleartext. */
  readonly tls: { readonly cert: string; readonly key: string } | undefined;
  readonly maxHeaderBytes: number;
  readonly maxConcurrentStreams: number;
  readonly maxConnections: number;
  readonly headerTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Called for each request, whatever its HTTP version. */
  readonly onRequest: (request: NodeServerRequest, response: NodeServerResponse) => void;
}

/** How often node:http looks for connections that overran a timeout. */
const TIMEOUT_CHECK_INTERVAL_MS = 1_000;

/** First bytes of the HTTP/2 connection preface (RFC 9113, section 3.4); no HTTP/1.1 method starts so. */
const HTTP2_PREFACE_START = "PRI";

/**
 * One TCP port for HTTP/1.1 and HTTP/2: by ALPN over TLS, by prior knowledge in cleartext.
 *
 * The port belongs to a node:http server. It accepts every connection, and the ones that speak
 * HTTP/2 are handed to a node:http2 server that never listens itself. It must be this way round:
 * a node:http server that does not listen ends every connection after one response, because that
 * is how it drains after `close()`.
 */
export class Listener implements AsyncDisposable {
  readonly #http1: http.Server;
  readonly #http2: http2.Http2Server;
  readonly #options: ListenerOptions;
  readonly #sockets = new Set<Duplex>();
  readonly #sessions = new Set<http2.ServerHttp2Session>();
  #closed: Promise<void> | undefined;

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#http1 = this.#createHttp1();
    this.#http2 = this.#createHttp2();
    this.#routeConnections();
  }

  /**
   * Starts to listen.
   *
   * @returns the address that was bound
   * @throws {Error} with code EADDRINUSE, EADDRNOTAVAIL or EACCES when the port cannot be had
   */
  async listen(): Promise<{ host: string; port: number }> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#http1.once("error", reject);
    this.#http1.listen(this.#options.port, this.#options.host, () => resolve());
    await promise;
    this.#http1.off("error", reject);
    const { address, port } = this.#http1.address() as AddressInfo;
    return { host: address, port };
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#sockets.size;
  }

  /**
   * Stops accepting, lets requests in flight finish, and closes every connection. When `signal`
   * aborts, what is still open is cut.
   */
  close(signal?: AbortSignal): Promise<void> {
    this.#closed ??= this.#drain();
    const cut = () => {
      for (const session of this.#sessions) session.destroy();
      for (const socket of this.#sockets) socket.destroy();
    };
    if (signal?.aborted) cut();
    signal?.addEventListener("abort", cut, { once: true });
    return this.#closed.finally(() => signal?.removeEventListener("abort", cut));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(AbortSignal.abort());
  }

  async #drain(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#http1.close(() => resolve());
    for (const session of this.#sessions) session.close();
    await promise;
    await Promise.all([...this.#sockets].map((socket) => once(socket, "close")));
  }

  #createHttp1(): http.Server {
    const options = this.#options;
    const serverOptions = {
      maxHeaderSize: options.maxHeaderBytes,
      headersTimeout: options.headerTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: options.idleTimeoutMs,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
      noDelay: true,
    };
    const server = options.tls
      ? https.createServer({
        ...serverOptions,
        ...options.tls,
        ALPNProtocols: ["h2", "http/1.1"],
        handshakeTimeout: options.headerTimeoutMs,
        minVersion: "TLSv1.2",
      }, options.onRequest)
      : http.createServer(serverOptions, options.onRequest);
    server.maxConnections = options.maxConnections;
    return server;
  }

  #createHttp2(): http2.Http2Server {
    const options = this.#options;
    const server = http2.createServer({
      settings: {
        maxConcurrentStreams: options.maxConcurrentStreams,
        maxHeaderListSize: options.maxHeaderBytes,
      },
    }, options.onRequest);
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
      guardHttp2Session(session, options);
    });
    return server;
  }

  #routeConnections(): void {
    const event = this.#options.tls ? "secureConnection" : "connection";
    const [acceptHttp1] = this.#http1.listeners(event);
    this.#http1.removeAllListeners(event);
    const serveHttp1 = (socket: Duplex) => acceptHttp1?.call(this.#http1, socket);
    const serveHttp2 = (socket: Duplex) => void this.#http2.emit("connection", socket);

    this.#http1.on(event, (socket: Socket & { alpnProtocol?: string | false }) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      if (this.#options.tls) {
        (socket.alpnProtocol === "h2" ? serveHttp2 : serveHttp1)(socket);
      } else {
        peekProtocol(socket, this.#options.headerTimeoutMs, { serveHttp1, serveHttp2 });
      }
    });
  }
}

/** Waits for a connection's first bytes, puts them back and hands the connection on. */
function peekProtocol(
  socket: Socket,
  timeoutMs: number,
  serve: { serveHttp1: (socket: Duplex) => void; serveHttp2: (socket: Duplex) => void },
): void {
  const timer = setTimeout(() => socket.destroy(), timeoutMs);
  const onClose = () => clearTimeout(timer);
  let first = Buffer.alloc(0);
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    first = Buffer.concat([first, chunk]);
    const start = first.toString("latin1", 0, HTTP2_PREFACE_START.length);
    if (start.length < HTTP2_PREFACE_START.length && HTTP2_PREFACE_START.startsWith(start)) return;
    onClose();
    socket.off("readable", onReadable);
    socket.off("close", onClose);
    socket.unshift(first);
    (start === HTTP2_PREFACE_START ? serve.serveHttp2 : serve.serveHttp1)(socket);
  };
  socket.once("close", onClose);
  socket.on("readable", onReadable);
}

function once(socket: Duplex, event: string): Promise<void> {
  return new Promise((resolve) => socket.once(event, () => resolve()));
}
