import { X509Certificate } from "node:crypto";
import type { TLSSocket } from "node:tls";
import type { ClientAuth } from "../config/mod.ts";
import { type Logger, RecordLimit } from "../log/mod.ts";

/** Settings of a {@linkcode ClientGate}. */
export interface ClientGateOptions {
  /** Authorities of clients, as PEM text. */
  readonly clientCa: string;
  readonly clientAuth: ClientAuth;
  /** Longest time that a handshake takes, in milliseconds. */
  readonly handshakeTimeoutMs: number;
  readonly logger: Logger;
  /** Monotonic milliseconds. */
  readonly now?: (() => number) | undefined;
}

/**
 * Lets a connection in by the certificate of its client (mutual TLS). Who may come without one gets
 * in with `socket.authorized` being false; a certificate that is not valid is always refused.
 *
 * Chains, dates and purposes are checked by TLS in the handshake. But a session that is resumed has
 * no such check: Deno (2.9.6) says `authorized` of whatever certificate the session began with, also
 * of one that it had found to be invalid, and of one whose authority is trusted no more. So only
 * certificates that passed a whole handshake under the present authorities may resume.
 */
export class ClientGate {
  /**
   * For the TLS server. It asks, and whom to refuse is decided here: Deno would end the connection
   * as well, but leave nobody to say whose certificate it was, and why.
   */
  readonly handshake = { requestCert: true, rejectUnauthorized: false } as const;
  readonly #options: ClientGateOptions;
  readonly #now: () => number;
  readonly #limit = new RecordLimit();
  /** Certificates by their fingerprints, with the authority that has signed them itself, if one has. */
  readonly #verified = new Map<string, string | undefined>();
  #authorities: ReadonlyMap<string, X509Certificate>;
  #rememberFrom = -Infinity;

  constructor(options: ClientGateOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#authorities = certificatesOf(options.clientCa);
  }

  /** Replaces the authorities. What one that is gone has vouched for is not resumed any more. */
  trust(clientCa: string): void {
    const before = this.#authorities;
    const after = certificatesOf(clientCa);
    this.#authorities = after;
    if ([...before.keys()].every((authority) => after.has(authority))) return;
    for (const [certificate, authority] of this.#verified) {
      if (authority === undefined || !after.has(authority)) this.#verified.delete(certificate);
    }
    // A handshake that has begun may still end under the authorities from before.
    this.#rememberFrom = this.#now() + this.#options.handshakeTimeoutMs;
  }

  /** Whether a connection whose handshake is done may stay. */
  admits(socket: TLSSocket): boolean {
    let certificate: X509Certificate | undefined;
    try {
      certificate = socket.getPeerX509Certificate();
      if (certificate === undefined && this.#options.clientAuth !== "require") return true;
      if (certificate !== undefined && this.#isValid(socket, certificate)) return true;
    } catch {
      // What cannot be read is not valid.
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

/** Deno gives the code of an unknown authority to dates and purposes as well. */
function reasonOf(socket: TLSSocket, certificate: X509Certificate | undefined): string {
  if (certificate === undefined) return "NO_CERTIFICATE";
  const now = Date.now();
  if (certificate.validToDate.getTime() < now) return "CERT_HAS_EXPIRED";
  if (certificate.validFromDate.getTime() > now) return "CERT_NOT_YET_VALID";
  return String(socket.authorizationError ?? "SESSION_NOT_VERIFIED");
}

/** One that is forgotten costs its client a whole handshake. */
const MOST_REMEMBERED = 10_000;

/** A client may write into its certificate what it likes. */
const LONGEST_SUBJECT = 200;

/** By fingerprint. */
function certificatesOf(pem: string): ReadonlyMap<string, X509Certificate> {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----/gs) ?? [];
  const certificates = blocks.map((block) => new X509Certificate(block));
  return new Map(certificates.map((certificate) => [certificate.fingerprint256, certificate]));
}
