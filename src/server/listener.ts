import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { setImmediate } from "node:timers";
import { constants } from "node:http2";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import type { TlsMaterial } from "../config/mod.ts";
import type { ClientGate } from "./client_gate.ts";
import type { Exchange } from "./exchange.ts";
import { FrameGuard } from "./frame_guard.ts";
import { Http1Exchange } from "./http1_exchange.ts";
import { Http2Exchange } from "./http2_exchange.ts";
import { guardHttp2Session } from "./http2_limits.ts";
import { peekProtocol } from "./peek_protocol.ts";
import { RequestPacer } from "./request_pacer.ts";
import { Turns } from "./turns.ts";

/** Address, TLS and limits of a {@linkcode Listener}. Durations are in milliseconds. */
export interface ListenerOptions {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** Undefined: cleartext. */
  readonly tls: TlsMaterial | undefined;
  /** Verifies client certificates; only with `tls`. */
  readonly clientGate?: ClientGate | undefined;
  readonly maxHeaderBytes: number;
  readonly maxConcurrentStreams: number;
  readonly maxConnections: number;
  readonly headerTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly idleTimeoutMs: number;
  /** Called for each request, of either HTTP version. */
  readonly onRequest: (exchange: Exchange) => void;
}

/** How often node:http checks connections for timeouts. */
const TIMEOUT_CHECK_INTERVAL_MS = 1_000;

/** Connections beyond the maximum, reserved for probes. */
const RESERVE_CONNECTIONS = 64;
/** Lifetime of a reserved connection, in milliseconds. */
const RESERVE_LIFETIME_MS = 2_000;

/** An accepted connection. */
interface Connection {
  readonly socket: Socket;
  readonly isReserve: boolean;
}

/**
 * One TCP port for HTTP/1.1 and HTTP/2: by ALPN over TLS, by prior knowledge in cleartext.
 *
 * A node:http server listens on the port and accepts every connection; HTTP/2 connections are
 * handed to a node:http2 server that never listens itself. The reverse does not work: a node:http
 * server that does not listen closes every connection after one response, because that is how it
 * drains after `close()`.
 *
 * Beyond the maximum number of connections, a few more are reserved for probes: each has a short
 * lifetime, may send only probes (`SocketFront.isReserve`), and is closed when the next one needs
 * its place. So probes work even when clients hold all connections.
 */
export class Listener implements AsyncDisposable {
  readonly #http1: http.Server;
  readonly #http2: http2.Http2Server;
  readonly #options: ListenerOptions;
  readonly #sockets = new Set<Socket>();
  /** Oldest first. */
  readonly #reserve = new Set<Socket>();
  /**
   * Connections whose protocol is not known yet, by peer address: TLS wraps the accepted socket.
   */
  readonly #undecided = new Map<string, Connection>();
  readonly #pacers = new Set<RequestPacer>();
  readonly #turns = new Turns();
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
   * @returns The address of the listening socket.
   * @throws {Error} With code EADDRINUSE, EADDRNOTAVAIL or EACCES if it cannot listen on the
   * address.
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

  /** Number of open connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Replaces the certificate and the client CAs for new connections; open ones keep theirs. */
  renewTls(material: TlsMaterial): void {
    (this.#http1 as https.Server).setSecureContext(secureContext(material));
    if (material.clientCa !== undefined) this.#options.clientGate?.trust(material.clientCa);
  }

  /**
   * Stops accepting, waits for requests in progress, and closes every connection. When `signal`
   * aborts, closes the remaining connections immediately.
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
    for (const { socket } of this.#undecided.values()) socket.destroy();
    for (const pacer of this.#pacers) pacer.announceEnd();
    await promise;
    await Promise.all([...this.#sockets].map((socket) => once(socket, "close")));
    this.#turns[Symbol.dispose]();
  }

  #createHttp1(): http.Server {
    const options = this.#options;
    const serverOptions = {
      maxHeaderSize: options.maxHeaderBytes,
      // The request timeout includes the header; node:http throws if it is shorter.
      headersTimeout: Math.min(options.headerTimeoutMs, options.requestTimeoutMs),
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: options.idleTimeoutMs,
      connectionsCheckingInterval: TIMEOUT_CHECK_INTERVAL_MS,
      noDelay: true,
    };
    const server = options.tls
      ? https.createServer({
        ...serverOptions,
        ...secureContext(options.tls),
        ...options.clientGate?.handshake,
        ALPNProtocols: ["h2", "http/1.1"],
        handshakeTimeout: options.headerTimeoutMs,
      })
      : http.createServer(serverOptions);
    server.on("request", (request, response) => {
      const pacer = request.socket as unknown as RequestPacer;
      pacer.begin(request, response);
      options.onRequest(new Http1Exchange(pacer, request, response));
    });
    // node:http would answer these itself, without a log record.
    server.on("checkExpectation", (request, response) => {
      (request.socket as unknown as RequestPacer).begin(request, response);
      response.writeHead(417, { connection: "close" }).end();
    });
    return server;
  }

  #createHttp2(): http2.Http2Server {
    const options = this.#options;
    const server = http2.createServer({
      settings: {
        maxConcurrentStreams: options.maxConcurrentStreams,
        maxHeaderListSize: options.maxHeaderBytes,
      },
    });
    server.on("session", (session) => {
      this.#sessions.add(session);
      session.once("close", () => this.#sessions.delete(session));
    });
    return server;
  }

  #routeConnections(): void {
    const { tls, clientGate, headerTimeoutMs } = this.#options;
    const event = tls ? "secureConnection" : "connection";
    const [acceptHttp1] = this.#http1.listeners(event);
    this.#http1.removeAllListeners(event);

    this.#http1.prependListener("connection", (socket: Socket) => this.#track(socket));
    this.#http1.on(event, (socket: Socket & { alpnProtocol?: string | false }) => {
      if (this.#closed || socket.destroyed) return void socket.destroy();
      socket.on("error", () => socket.destroy());
      const serve = {
        serveHttp1: (socket: Socket) => this.#serveHttp1(socket, acceptHttp1 as AcceptHttp1),
        serveHttp2: (socket: Socket) => this.#serveHttp2(socket),
      };
      if (clientGate?.admits(socket as TLSSocket) === false) return void socket.destroy();
      if (!tls) return peekProtocol(socket, headerTimeoutMs, serve);
      if (socket.alpnProtocol === "h2") serve.serveHttp2(socket);
      else serve.serveHttp1(socket);
    });
  }

  #serveHttp1(socket: Socket, accept: AcceptHttp1): void {
    const pacer = new RequestPacer(socket, this.#turns, this.#options.idleTimeoutMs);
    pacer.isReserve = this.#decide(socket);
    if (pacer.isReserve || this.#closed) pacer.announceEnd();
    this.#pacers.add(pacer);
    pacer.once("close", () => this.#pacers.delete(pacer));
    accept.call(this.#http1, pacer);
  }

  #serveHttp2(socket: Socket): void {
    const { onRequest } = this.#options;
    const guard = new FrameGuard(socket, { turns: this.#turns });
    guard.isReserve = this.#decide(socket);
    const exchanges = new Set<Exchange>();
    // Streams end with their connection, even where the runtime does not report it.
    guard.once("close", () => setImmediate(() => exchanges.forEach((each) => each.giveUp())));
    this.#http2.once("session", (session) => {
      guardHttp2Session(session, guard, this.#options);
      session.on("stream", (stream, header, flags) => {
        // The client has reset it in the packet that opened it.
        if (stream.closed) return;
        const hasBody = (flags & constants.NGHTTP2_FLAG_END_STREAM) === 0;
        const exchange = new Http2Exchange(guard, stream, header, hasBody);
        exchanges.add(exchange);
        exchange.onEnd(() => exchanges.delete(exchange));
        onRequest(exchange);
      });
    });
    this.#http2.emit("connection", guard);
  }

  /**
   * Called when the protocol of a connection is known; returns whether the connection is reserved.
   */
  #decide(socket: Socket): boolean {
    const peer = peerOf(socket);
    const isReserve = this.#undecided.get(peer)?.isReserve ?? false;
    this.#undecided.delete(peer);
    return isReserve;
  }

  #track(socket: Socket): void {
    const isReserve = this.#sockets.size - this.#reserve.size >= this.#options.maxConnections;
    if (isReserve) this.#addToReserve(socket);
    const peer = peerOf(socket);
    const connection = { socket, isReserve };
    this.#sockets.add(socket);
    this.#undecided.set(peer, connection);
    socket.once("close", () => {
      this.#sockets.delete(socket);
      this.#reserve.delete(socket);
      if (this.#undecided.get(peer) === connection) this.#undecided.delete(peer);
    });
  }

  #addToReserve(socket: Socket): void {
    const [oldest] = this.#reserve;
    if (this.#reserve.size >= RESERVE_CONNECTIONS) {
      this.#reserve.delete(oldest!);
      oldest!.destroy();
    }
    this.#reserve.add(socket);
    const timer = setTimeout(() => socket.destroy(), RESERVE_LIFETIME_MS);
    socket.once("close", () => clearTimeout(timer));
  }
}

type AcceptHttp1 = (this: http.Server, socket: RequestPacer) => void;
function secureContext({ cert, key, clientCa }: TlsMaterial): SecureContextOptions {
  return {
    cert,
    key: key.reveal(),
    ...(clientCa === undefined ? {} : { ca: clientCa }),
    minVersion: "TLSv1.2",
  };
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

function once(socket: Socket, event: string): Promise<void> {
  return new Promise((resolve) => socket.once(event, () => resolve()));
}
