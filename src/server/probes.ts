import type { Readiness } from "../health/mod.ts";
import { get, type Handler, textResponse } from "./handler.ts";

/** Paths of probes. */
export const PROBE_PATHS: ReadonlySet<string> = new Set([
  "/livez",
  "/readyz",
  "/metrics",
  "/grpc.health.v1.Health/Check",
]);

/**
 * `/livez`: 200 while the process responds. Independent of other systems, which a restart would not
 * repair (Kubernetes, "Liveness, Readiness and Startup Probes").
 */
export function livez(): Handler {
  return get(() => textResponse(200, "alive", noStore));
}

/** `/readyz`: 200 while the service is ready for traffic, otherwise 503 with the reason. */
export function readyz(readiness: () => Readiness): Handler {
  return get(() => {
    const { ready, reason } = readiness();
    return textResponse(ready ? 200 : 503, ready ? "ready" : `not ready: ${reason}`, noStore);
  });
}

const noStore = { "cache-control": "no-store" };
