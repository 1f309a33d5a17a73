import { randomInt } from "node:crypto";
import dgram from "node:dgram";
import { once } from "node:events";

// Below the ephemeral range of Linux (32768-60999) and of macOS (49152-65535), whose ports may be
// in use by an outgoing connection when the server starts.
const FIRST_PORT = 20_000;
const LAST_PORT = 32_767;
const ATTEMPTS = 100;
const HOST = "127.0.0.1";

/**
 * Reserves a port on 127.0.0.1 against other claims, even while its server is stopped. Programs
 * that do not use claims can still take the port.
 *
 * The claim is the UDP port of the same number, which is otherwise unused: the system assigns it to
 * one process only, and releases it when that process ends.
 */
export class PortClaim implements AsyncDisposable {
  readonly port: number;
  readonly #twin: dgram.Socket;

  private constructor(port: number, twin: dgram.Socket) {
    this.port = port;
    this.#twin = twin;
  }

  /** Returns `undefined` if the port is claimed or in use. */
  static async tryClaim(port: number): Promise<PortClaim | undefined> {
    const twin = dgram.createSocket("udp4");
    twin.bind(port, HOST);
    try {
      await once(twin, "listening");
    } catch (error) {
      if ((error as { code?: string }).code === "EADDRINUSE") return undefined;
      throw error;
    }
    const claim = new PortClaim(port, twin);
    if (isFree(port)) return claim;
    await claim[Symbol.asyncDispose]();
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#twin, "close");
    this.#twin.close();
    await closed;
  }
}

/**
 * Claims a port on 127.0.0.1 on which nothing is listening. A program that does not use claims can
 * take it before the caller does, so a caller must be ready to retry.
 *
 * @param preferred Claimed if it is free.
 * @throws {Error} If no port is free.
 */
export async function claimPort(preferred?: number): Promise<PortClaim> {
  const first = preferred === undefined ? undefined : await PortClaim.tryClaim(preferred);
  if (first !== undefined) return first;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const claim = await PortClaim.tryClaim(randomInt(FIRST_PORT, LAST_PORT + 1));
    if (claim !== undefined) return claim;
  }
  throw new Error(`No free port found between ${FIRST_PORT} and ${LAST_PORT}.`);
}

/** As {@linkcode claimPort}, for callers that listen on the port immediately: it is not claimed. */
export async function findFreePort(): Promise<number> {
  await using claim = await claimPort();
  return claim.port;
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: HOST, port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
