/**
 * Metrics for Prometheus. Database, health and server do not depend on this module: it implements
 * their observers and reads their snapshots.
 *
 * @module
 */
export type { Exposition } from "./exposition.ts";
export { Metrics } from "./metrics.ts";
export type { BuildInfo } from "./process_metrics.ts";
