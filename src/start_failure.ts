import type { Config } from "./config/mod.ts";

/** Says why the service could not start, and which setting would help. */
export function describeStartFailure(error: unknown, { server, metrics }: Config): string {
  const { code, port } = error as { readonly code?: unknown; readonly port?: unknown };
  if (typeof code === "string" && metrics.address?.port === port && server.port !== port) {
    return `Metrics cannot be served on this address (${code}): set METRICS_ADDR to another one`;
  }
  const address = `${server.host}:${server.port}`;
  if (code === "EADDRINUSE") return `${address} is in use: set SERVER_PORT to a free port`;
  if (code === "EACCES") return `${address} is not allowed: set SERVER_PORT to a port above 1023`;
  if (code === "EADDRNOTAVAIL") return `${address} is no address of this machine: set SERVER_HOST`;
  return "The service failed";
}
