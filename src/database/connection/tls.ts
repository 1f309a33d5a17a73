import { Buffer } from "node:buffer";
import net from "node:net";
import tls from "node:tls";
import type { DatabaseTlsConfig } from "../../config/mod.ts";
import { classify, DatabaseError } from "../errors.ts";
import { untilEvent } from "./socket.ts";

/** PostgreSQL's SSLRequest message: its length (8) and the code 1234.5679. */
const SSL_REQUEST = new Uint8Array([0, 0, 0, 8, 4, 210, 22, 47]);
const ACCEPTED = "S".charCodeAt(0);
const FAILED = "E".charCodeAt(0);

/**
 * Asks the server for TLS and does the handshake.
 *
 * @param host The name that the user configured; certificates are checked against it.
 * @returns The encrypted socket, or undefined when the server does no TLS; the
 * plain socket is then still good for an unencrypted session.
 * @throws {DatabaseError} `TLS_FAILED`, `CONNECTION_LOST` (or what else the socket failed with), or
 * the signal's reason.
 *
 * Source: PostgreSQL documentation, "SSL Session Encryption" (55.2.10).
 */
export async function upgradeToTls(
  socket: net.Socket,
  host: string,
  config: DatabaseTlsConfig,
  signal: AbortSignal,
): Promise<tls.TLSSocket | undefined> {
  try {
    socket.write(SSL_REQUEST);
    const answer = await untilEvent(socket, "data", signal);
    if (answer instanceof Uint8Array && answer[0] === FAILED) {
      // A server that cannot start a process. Its words are anybody's on the way (CVE-2024-10977).
      throw new DatabaseError("CONNECTION_LOST", {
        message: `${host} answered the request for TLS with an error`,
      });
    }
    if (!(answer instanceof Uint8Array) || answer.length !== 1) {
      // Bytes after the answer came unencrypted and could be an attacker's (CVE-2021-23222).
      throw new Error(`${host} did not answer the request for TLS as PostgreSQL does`);
    }
    if (answer[0] !== ACCEPTED) return undefined;
    const secured = tls.connect({ socket, ...handshakeOptions(host, config) });
    await untilEvent(secured, "secureConnect", signal);
    return secured;
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    const { code, message } = classify(error);
    // A lost connection comes back by itself; anything else, such as a certificate, needs somebody.
    throw new DatabaseError(code === "QUERY_FAILED" ? "TLS_FAILED" : code, {
      message: `TLS with ${host} failed: ${message}`,
      cause: error,
    });
  }
}

/** When the certificate that the server has shown expires; undefined when it cannot be read. */
export function certificateExpiry(socket: tls.TLSSocket): Date | undefined {
  try {
    return socket.getPeerX509Certificate()?.validToDate;
  } catch {
    // It is for information only, and sslmode may ask for no certificate that is any good.
    return undefined;
  }
}

/**
 * What `sslmode` means for a handshake, as in libpq: only verify-ca and
 * verify-full check the certificate, and so does require when there is a root
 * certificate; only verify-full checks the name.
 */
function handshakeOptions(host: string, config: DatabaseTlsConfig): tls.ConnectionOptions {
  const { mode, rootCert, cert, key } = config;
  const checksName = mode === "verify-full";
  const checksChain = checksName || mode === "verify-ca" ||
    (mode === "require" && rootCert !== undefined);
  return {
    // Both are needed: without a name, certificates are checked against "localhost",
    // and an IP address may not be sent as a server name (RFC 6066, section 3).
    host,
    servername: net.isIP(host) === 0 ? host : "",
    minVersion: "TLSv1.2",
    rejectUnauthorized: checksChain,
    ...(checksName ? {} : { checkServerIdentity: () => undefined }),
    ...(rootCert === undefined ? {} : { ca: Buffer.from(rootCert) }),
    ...(cert === undefined ? {} : { cert: Buffer.from(cert) }),
    ...(key === undefined ? {} : { key: Buffer.from(key.reveal()) }),
  };
}
