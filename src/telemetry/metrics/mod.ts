/**
 * Metrics for Prometheus. Database, health and server know nothing of it: they have observers,
 * which this implements, and snapshots, which it reads.
 *
 * @module
 */
export type { Exposition } from "./exposition.ts";
export { Metrics } from "./metrics.ts";
export type { BuildInfo } from "./process_metrics.ts";
