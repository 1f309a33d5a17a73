import type { Config } from "./config/mod.ts";

/** Describes why the service failed to start, and which setting to change. */
export function describeStartFailure(error: unknown, { server, metrics }: Config): string {
  const { code, port } = error as { readonly code?: unknown; readonly port?: unknown };
  if (typeof code === "string" && metrics.address?.port === port && server.port !== port) {
    return `Cannot serve metrics on the address of METRICS_ADDR (${code}): set METRICS_ADDR to another address`;
  }
  const address = `${server.host}:${server.port}`;
  if (code === "EADDRINUSE") {
    return `The address ${address} is already in use: set SERVER_PORT to a free port`;
  }
  if (code === "EACCES") {
    return `Permission denied to listen on ${address}: set SERVER_PORT to a port above 1023`;
  }
  if (code === "EADDRNOTAVAIL") {
    return `${address} is not an address of this machine: change SERVER_HOST`;
  }
  return "The service failed";
}
