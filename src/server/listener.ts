import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { NodeServerRequest, NodeServerResponse } from "./node_types.ts";
import { FrameGuard } from "./frame_guard.ts";
import { guardHttp2Session } from "./http2_limits.ts";
import { peekProtocol } from "./peek_protocol.ts";

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
  readonly #sockets = new Set<Socket>();
  /** Connections that have not said yet what they speak, by peer: TLS wraps the accepted socket. */
  readonly #undecided = new Map<string, Socket>();
  /** Unfinished answers by connection: on Deno, the later ones of a lost connection never close. */
  readonly #http1Responses = new Map<Socket, Set<http.ServerResponse>>();
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
    for (const socket of this.#undecided.values()) socket.destroy();
    for (const responses of this.#http1Responses.values()) responses.forEach(announceEnd);
    await promise;
    await Promise.all([...this.#sockets].map((socket) => once(socket, "close")));
  }

  #createHttp1(): http.Server {
    const options = this.#options;
    const serverOptions = {
      maxHeaderSize: options.maxHeaderBytes,
      // A request includes its header; node:http throws when told otherwise.
      headersTimeout: Math.min(options.headerTimeoutMs, options.requestTimeoutMs),
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
      })
      : http.createServer(serverOptions);
    server.on("request", (request, response) => {
      const responses = this.#http1ResponsesOf(request.socket);
      responses.add(response);
      response.once("close", () => responses.delete(response));
      // A client that sends on and reads nothing would have its answers pile up here.
      if (responses.size > options.maxConcurrentStreams) return request.socket.destroy();
      if (this.#closed) announceEnd(response);
      options.onRequest(request, response);
    });
    server.maxConnections = options.maxConnections;
    return server;
  }

  #http1ResponsesOf(socket: Socket): Set<http.ServerResponse> {
    let responses = this.#http1Responses.get(socket);
    if (responses === undefined) {
      responses = new Set();
      this.#http1Responses.set(socket, responses);
      socket.once("close", () => this.#http1Responses.delete(socket));
    }
    return responses;
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
    });
    return server;
  }

  #routeConnections(): void {
    const { tls, headerTimeoutMs } = this.#options;
    const event = tls ? "secureConnection" : "connection";
    const [acceptHttp1] = this.#http1.listeners(event);
    this.#http1.removeAllListeners(event);
    const serveHttp1 = (socket: Socket) => {
      this.#undecided.delete(peerOf(socket));
      acceptHttp1?.call(this.#http1, socket);
    };
    const serveHttp2 = (socket: Socket) => {
      this.#undecided.delete(peerOf(socket));
      const guard = new FrameGuard(socket);
      this.#http2.once("session", (session) => guardHttp2Session(session, guard, this.#options));
      this.#http2.emit("connection", guard);
    };

    this.#http1.prependListener("connection", (socket: Socket) => this.#track(socket));
    this.#http1.on(event, (socket: Socket & { alpnProtocol?: string | false }) => {
      if (this.#closed) return socket.destroy();
      socket.on("error", () => socket.destroy());
      if (!tls) return peekProtocol(socket, headerTimeoutMs, { serveHttp1, serveHttp2 });
      (socket.alpnProtocol === "h2" ? serveHttp2 : serveHttp1)(socket);
    });
  }

  #track(socket: Socket): void {
    const peer = peerOf(socket);
    this.#sockets.add(socket);
    this.#undecided.set(peer, socket);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      if (this.#undecided.get(peer) === socket) this.#undecided.delete(peer);
    });
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

/** Tells the client that no further request is welcome, if the header is not sent yet. */
function announceEnd(response: http.ServerResponse): void {
  response.shouldKeepAlive = false;
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve) => socket.once(event, () => resolve()));
}
