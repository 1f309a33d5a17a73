import type { GrpcTransportOptions } from "@connectrpc/connect-node";
import * as http2 from "node:http2";
import * as net from "node:net";
import * as tls from "node:tls";
import { codeOfSystemError } from "../database/mod.ts";

type SessionManager = NonNullable<GrpcTransportOptions["sessionManager"]>;

/**
 * The HTTP/2 connection to one peer: opened by the first request, kept for the next ones, replaced
 * when it has ended.
 *
 * Connect's own session manager is not used because on Deno a peer that accepts and hangs up makes
 * its socket raise an error that nobody listens for, which ends the process (connect-node 2.2.0,
 * Deno 2.9.6). Here the socket and the session have a listener for as long as they live.
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
   * @param rootCert Authorities to trust as PEM; default: those that the runtime trusts.
   */
  constructor(url: string, rootCert?: string) {
    const { origin, protocol, hostname, port } = new URL(url);
    this.authority = origin;
    this.#secure = protocol === "https:";
    this.#rootCert = rootCert;
    this.hostname = hostname.replace(/^\[(.*)\]$/, "$1");
    this.port = Number(port) || (this.#secure ? 443 : 80);
  }

  /** Whether a connection is open that an earlier request has used. */
  get connected(): boolean {
    return this.#usable() !== undefined;
  }

  /**
   * Stable code of why the present connection failed, if it did, such as CONNECTION_REFUSED. It says
   * more than the error of the request.
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
    // For managers that send PINGs. A check's deadline finds a dead connection here.
  }

  /** Closes the connection with everything that runs on it; the next request opens a new one. */
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
      // An IP address is no server name (RFC 6066, section 3); the certificate must name it still.
      ...(net.isIP(host) === 0 && { servername: host }),
      ...(this.#rootCert !== undefined && { ca: this.#rootCert }),
      ALPNProtocols: ["h2"],
    });
  }
}
