/**
 * A bounded pool of things that take time to open and can break. It knows nothing of PostgreSQL.
 *
 * @module
 */
export type { AcquireOptions, CloseOptions, PoolOptions, Resource } from "./options.ts";
export type { Leak } from "./leak_detector.ts";
export { Pool } from "./pool.ts";
export type { CloseReason, PoolStats } from "./stats.ts";
