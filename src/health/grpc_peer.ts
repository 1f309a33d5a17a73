import type { GrpcTransportOptions } from "@connectrpc/connect-node";
import * as http2 from "node:http2";
import * as net from "node:net";
import * as tls from "node:tls";
import { codeOfSystemError } from "../database/mod.ts";

type SessionManager = NonNullable<GrpcTransportOptions["sessionManager"]>;

/**
 * The HTTP/2 connection to one peer: opened by the first request, reused by later ones, replaced
 * after it has ended.
 *
 * Connect's own session manager is not used: on Deno, a peer that accepts a connection and closes it
 * at once makes the socket emit an unhandled error, which ends the process (connect-node 2.2.0, Deno
 * 2.9.6). Here, the socket and the session always have an error listener.
 */
export class GrpcPeer implements SessionManager {
  readonly authority: string;
  readonly hostname: string;
  readonly port: number;
  readonly #secure: boolean;
  readonly #rootCert: string | undefined;
  #connection:
    | { readonly session: http2.ClientHttp2Session; readonly socket: net.Socket }
    | undefined;
  #failure: string | undefined;

  /**
   * @param url `http://host:port` (cleartext HTTP/2) or `https://host:port`.
   * @param rootCert CA certificates to trust, as PEM. Default: those of the runtime.
   */
  constructor(url: string, rootCert?: string) {
    const { origin, protocol, hostname, port } = new URL(url);
    this.authority = origin;
    this.#secure = protocol === "https:";
    this.#rootCert = rootCert;
    this.hostname = hostname.replace(/^\[(.*)\]$/, "$1");
    this.port = Number(port) || (this.#secure ? 443 : 80);
  }

  /** Whether a connection of an earlier request is open. */
  get connected(): boolean {
    return this.#usable() !== undefined;
  }

  /**
   * Stable error code of the current connection if it failed, such as CONNECTION_REFUSED. More specific
   * than the error of the request.
   */
  get failure(): string | undefined {
    return this.#failure;
  }

  // deno-lint-ignore require-await -- a session that cannot open a stream throws; this rejects.
  async request(
    method: string,
    path: string,
    headers: http2.OutgoingHttpHeaders,
    options: Omit<http2.ClientSessionRequestOptions, "signal">,
  ): Promise<http2.ClientHttp2Stream> {
    const session = this.#usable() ?? this.#connect();
    return session.request({ ...headers, ":method": method, ":path": path }, options);
  }

  notifyResponseByteRead(): void {
    // For managers that send PINGs. Here, the deadline of a check detects a dead connection.
  }

  /** Closes the connection and aborts its requests. The next request opens a new one. */
  disconnect(): void {
    this.#connection?.session.destroy();
    this.#connection?.socket.destroy();
    this.#connection = undefined;
  }

  #usable(): http2.ClientHttp2Session | undefined {
    const session = this.#connection?.session;
    return session === undefined || session.closed || session.destroyed ? undefined : session;
  }

  #connect(): http2.ClientHttp2Session {
    this.disconnect();
    this.#failure = undefined;
    const socket = this.#secure ? this.#connectTls() : net.connect(this.port, this.hostname);
    let failedToOpen: string | undefined = this.#secure ? "TLS_FAILED" : "CONNECTION_FAILED";
    socket.once(this.#secure ? "secureConnect" : "connect", () => failedToOpen = undefined);
    socket.on("error", (error: Error) => {
      if (this.#connection?.socket !== socket) return;
      const code = "code" in error ? String(error.code) : "";
      this.#failure ??= codeOfSystemError(code) ?? failedToOpen;
    });
    const session = http2.connect(this.authority, { createConnection: () => socket });
    session.on("error", () => {});
    this.#connection = { session, socket };
    return session;
  }

  #connectTls(): tls.TLSSocket {
    const { hostname: host, port } = this;
    return tls.connect({
      host,
      port,
      // An IP address is not a server name (RFC 6066, section 3). The certificate is still verified against it.
      ...(net.isIP(host) === 0 && { servername: host }),
      ...(this.#rootCert !== undefined && { ca: this.#rootCert }),
      ALPNProtocols: ["h2"],
    });
  }
}
