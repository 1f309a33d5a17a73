/**
 * A bounded pool of things that take time to open and can break. It knows nothing of PostgreSQL,
 * and of this project only `src/time.ts`.
 *
 * @module
 */
export type { Leak } from "./leak_detector.ts";
export {
  type AcquireOptions,
  type CloseOptions,
  Pool,
  PoolError,
  type PoolErrorCode,
  type PoolOptions,
  type Resource,
} from "./pool.ts";
export type { CloseReason, PoolStats } from "./stats.ts";
export type { Clock, TimerHandle } from "../../time.ts";
