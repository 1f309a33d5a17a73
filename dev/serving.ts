import { setTimeout as delay } from "node:timers/promises";
import type { ServerConfig } from "../src/config/mod.ts";

const POLL_MS = 50;

/**
 * Verifies that no other program listens on the address of the service.
 *
 * @throws {Error} If another program uses the port.
 */
export function requireFreeAddress({ host, port }: ServerConfig): void {
  try {
    Deno.listen({ hostname: host, port }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) return; // the service reports it
    throw new Error(
      `${host}:${port} is in use by another program. Set SERVER_PORT to a free port.`,
    );
  }
}

/**
 * Waits until the service responds.
 *
 * @returns `false` if `signal` aborted first.
 */
export async function waitUntilServing(
  server: ServerConfig,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    if (await isServing(server, signal).catch(() => false)) return true;
    await delay(POLL_MS, undefined, { signal }).catch(() => {});
  }
  return false;
}

async function isServing({ host, port, tls }: ServerConfig, signal: AbortSignal): Promise<boolean> {
  const hostname = { "0.0.0.0": "127.0.0.1", "::": "::1" }[host] ?? host;
  if (tls !== undefined) {
    // A development certificate is rarely valid for this address; listening is enough.
    (await Deno.connect({ hostname, port, signal })).close();
    return true;
  }
  const address = hostname.includes(":") ? `[${hostname}]` : hostname;
  const response = await fetch(`http://${address}:${port}/livez`, { signal });
  await response.body?.cancel();
  return response.ok;
}
