import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { ClientAuth } from "../config/mod.ts";
import { type Logger, RecordLimit } from "../log/mod.ts";

/** How a {@linkcode ClientGate} verifies clients. */
export interface ClientGateOptions {
  /** CA certificates that sign the certificates of clients, as PEM. */
  readonly clientCa: string;
  readonly clientAuth: ClientAuth;
  /** Maximum duration of a TLS handshake, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  readonly logger: Logger;
  /** Monotonic clock, in milliseconds. Default: `performance.now`. */
  readonly now?: (() => number) | undefined;
}

/**
 * Accepts or rejects a connection by its client certificate (mutual TLS). A client that may connect
 * without a certificate is accepted with `socket.authorized` set to false; an invalid certificate
 * is always rejected.
 *
 * The TLS handshake verifies chains, dates and purposes, but a resumed session skips that: Deno
 * (2.9.6) reports `authorized` for any certificate that the session began with, even an invalid one
 * or one whose CA is no longer trusted. So a session may resume only if its certificate has passed
 * a full handshake under the current CAs.
 */
export class ClientGate {
  /**
   * Options for the TLS server. It requests the certificate, and this class decides: Deno would
   * also close the connection, but without a way to log whose certificate it was, and why.
   */
  readonly handshake = { requestCert: true, rejectUnauthorized: false } as const;
  readonly #options: ClientGateOptions;
  readonly #now: () => number;
  readonly #limit = new RecordLimit();
  /**
   * Fingerprints of verified certificates, with that of the CA that signed each directly, if known.
   */
  readonly #verified = new Map<string, string | undefined>();
  #authorities: ReadonlyMap<string, X509Certificate>;
  #rememberFrom = -Infinity;

  constructor(options: ClientGateOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#authorities = certificatesOf(options.clientCa);
  }

  /** Replaces the CAs. Certificates of a removed CA may not resume sessions. */
  trust(clientCa: string): void {
    const before = this.#authorities;
    const after = certificatesOf(clientCa);
    this.#authorities = after;
    if ([...before.keys()].every((authority) => after.has(authority))) return;
    for (const [certificate, authority] of this.#verified) {
      if (authority === undefined || !after.has(authority)) this.#verified.delete(certificate);
    }
    // A handshake in progress may still finish under the previous CAs.
    this.#rememberFrom = this.#now() + this.#options.handshakeTimeoutMs;
  }

  /** Whether a connection may stay, after its handshake. */
  admits(socket: TLSSocket): boolean {
    let certificate: X509Certificate | undefined;
    try {
      certificate = socket.getPeerX509Certificate();
      if (certificate === undefined && this.#options.clientAuth !== "require") return true;
      if (certificate !== undefined && this.#isValid(socket, certificate)) return true;
    } catch {
      // An unreadable certificate is invalid.
    }
    this.#logRefusal(socket, certificate);
    return false;
  }

  #isValid(socket: TLSSocket, certificate: X509Certificate): boolean {
    const { fingerprint256, validToDate } = certificate;
    if (socket.isSessionReused()) {
      return this.#verified.has(fingerprint256) && validToDate.getTime() > Date.now();
    }
    if (!socket.authorized) return false;
    if (!this.#verified.has(fingerprint256)) this.#remember(certificate);
    return true;
  }

  #remember(certificate: X509Certificate): void {
    const [authority] = this.#authorities.entries()
      .find(([_, ca]) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey)) ?? [];
    if (authority === undefined && this.#now() < this.#rememberFrom) return;
    this.#verified.set(certificate.fingerprint256, authority);
    if (this.#verified.size <= MOST_REMEMBERED) return;
    const [oldest] = this.#verified.keys();
    this.#verified.delete(oldest!);
  }

  #logRefusal(socket: TLSSocket, certificate: X509Certificate | undefined): void {
    const reason = reasonOf(socket, certificate);
    const { level, repeats } = this.#limit.weigh(reason, "warn");
    const { remoteAddress, remotePort } = socket;
    this.#options.logger[level](
      {
        event: "tls.client_refused",
        reason,
        subject: certificate?.subject?.replaceAll("\n", ", ").slice(0, LONGEST_SUBJECT),
        peer: `${remoteAddress}:${remotePort}`,
        ...repeats,
      },
      "A client was refused for its certificate (TLS_CLIENT_CA_FILE)",
    );
  }
}

/** Deno reports wrong dates and purposes with the code of an unknown CA, too. */
function reasonOf(socket: TLSSocket, certificate: X509Certificate | undefined): string {
  if (certificate === undefined) return "NO_CERTIFICATE";
  const now = Date.now();
  if (certificate.validToDate.getTime() < now) return "CERT_HAS_EXPIRED";
  if (certificate.validFromDate.getTime() > now) return "CERT_NOT_YET_VALID";
  return String(socket.authorizationError ?? "SESSION_NOT_VERIFIED");
}

/** Limit of the remembered certificates. A forgotten one costs its client a full handshake. */
const MOST_REMEMBERED = 10_000;

/** Limit of the logged subject, whose content the client controls. */
const LONGEST_SUBJECT = 200;

/** By fingerprint. */
function certificatesOf(pem: string): ReadonlyMap<string, X509Certificate> {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  const certificates = blocks.map((block) => new X509Certificate(block));
  return new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate]));
}
