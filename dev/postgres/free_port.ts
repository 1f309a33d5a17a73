import { randomInt } from "node:crypto";

// Below the ephemeral range of Linux (32768-60999) and of macOS (49152-65535): a port in
// there is sometimes taken by an outgoing connection at the moment the server wants it.
const FIRST_PORT = 20_000;
const LAST_PORT = 32_767;
const ATTEMPTS = 100;

/**
 * A port on 127.0.0.1 that nothing listens on at this moment. Another process can take it
 * before the caller does, so a caller must be ready to ask again.
 *
 * @param preferred Taken when it is free.
 */
export function findFreePort(preferred?: number): number {
  if (preferred !== undefined && isFree(preferred)) return preferred;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (isFree(port)) return port;
  }
  throw new Error(`No free port found between ${FIRST_PORT} and ${LAST_PORT}.`);
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AddrInUse) return false;
    throw error;
  }
}
