/**
 * PostgreSQL for the service: a pool of connections that are each used for one
 * session only, a manager that keeps them connected, and migrations.
 *
 * @module
 */
export type { Clock } from "./clock.ts";
export { connect, type ConnectOptions } from "./connect.ts";
export type { Connection, ServerRole } from "./connection.ts";
export type { Parameter, Sql } from "./driver.ts";
export { classify, DatabaseError, type DatabaseErrorCode } from "./errors.ts";
export type { Logger } from "./logger.ts";
export {
  type AccessMode,
  DatabaseManager,
  type DatabaseManagerOptions,
  type OperationOptions,
  type PingOptions,
  type PingResult,
  type QueryTag,
} from "./manager.ts";
export {
  migrateUp,
  type MigrationOptions,
  type MigrationResult,
  readSchemaVersion,
  type SchemaVersion,
} from "./migrations.ts";
export type { CloseOptions } from "./pool.ts";
export type { CloseReason, PoolStats } from "./pool_stats.ts";
export type { DatabaseState, StateChange, StateListener } from "./state.ts";
