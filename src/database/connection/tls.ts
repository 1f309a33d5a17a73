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
 * Requests TLS from the server and performs the handshake.
 *
 * @param host The configured host name, against which certificates are verified.
 * @returns The encrypted socket, or undefined if the server does not support TLS; the plain socket
 * can then still be used for an unencrypted session.
 * @throws {DatabaseError} `TLS_FAILED`, `CONNECTION_LOST` (or another error of the socket), or the
 * reason of the signal.
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
      // A server that cannot start a process. Its unencrypted message is not trusted
      // (CVE-2024-10977).
      throw new DatabaseError("CONNECTION_LOST", {
        message: `${host} answered the TLS request with an error`,
      });
    }
    if (!(answer instanceof Uint8Array) || answer.length !== 1) {
      // Bytes after the answer arrived unencrypted and may be injected (CVE-2021-23222).
      throw new Error(`${host} sent an unexpected answer to the TLS request`);
    }
    if (answer[0] !== ACCEPTED) return undefined;
    const secured = tls.connect({ socket, ...handshakeOptions(host, config) });
    await untilEvent(secured, "secureConnect", signal);
    return secured;
  } catch (error) {
    if (error instanceof DatabaseError) throw error;
    const { code, message } = classify(error);
    // A lost connection recovers by itself; other errors, such as a bad certificate, do not.
    throw new DatabaseError(code === "QUERY_FAILED" ? "TLS_FAILED" : code, {
      message: `TLS connection to ${host} failed: ${message}`,
      cause: error,
    });
  }
}

/** Returns the expiry time of the server certificate; undefined if it cannot be read. */
export function certificateExpiry(socket: tls.TLSSocket): Date | undefined {
  try {
    return socket.getPeerX509Certificate()?.validToDate;
  } catch {
    // For information only: with some values of sslmode, any certificate is accepted.
    return undefined;
  }
}

/**
 * Converts `sslmode` to options of the handshake, as in libpq: only verify-ca and verify-full
 * verify the certificate, and so does require with a root certificate; only verify-full verifies
 * the host name.
 */
function handshakeOptions(host: string, config: DatabaseTlsConfig): tls.ConnectionOptions {
  const { mode, rootCert, cert, key } = config;
  const checksName = mode === "verify-full";
  const checksChain = checksName || mode === "verify-ca" ||
    (mode === "require" && rootCert !== undefined);
  return {
    // Both are required: without a name, certificates are verified against "localhost", and an IP
    // address must not be sent as server name (RFC 6066, section 3).
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
