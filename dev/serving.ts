import { setTimeout as delay } from "node:timers/promises";
import type { ServerConfig } from "../src/config/mod.ts";

const POLL_MS = 50;

/**
 * Makes sure that it will be the service who answers there, and no other program.
 *
 * @throws {Error} Some other program has the port.
 */
export function requireFreeAddress({ host, port }: ServerConfig): void {
  try {
    Deno.listen({ hostname: host, port }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AddrInUse)) return; // the service will say it
    throw new Error(
      `${host}:${port} is in use by another program. Set SERVER_PORT to a free port.`,
    );
  }
}

/**
 * Waits until the service answers.
 *
 * @returns `false` when `signal` aborted before that.
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
    // A development certificate is rarely made for this address; that it listens must do.
    (await Deno.connect({ hostname, port, signal })).close();
    return true;
  }
  const address = hostname.includes(":") ? `[${hostname}]` : hostname;
  const response = await fetch(`http://${address}:${port}/livez`, { signal });
  await response.body?.cancel();
  return response.ok;
}
