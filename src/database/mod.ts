/**
 * PostgreSQL for the service: a pool of connections that are each used for one
 * session only, a manager that keeps them connected, and migrations.
 *
 * @module
 */
export type { Access, AccessMode } from "./access_mode.ts";
export type { CircuitSnapshot, CircuitState, CircuitTransition } from "./circuit_breaker/mod.ts";
export type { Clock } from "./clock.ts";
export { connect, type ConnectOptions } from "./connection/connect.ts";
export type { Connection, ServerRole } from "./connection/connection.ts";
export type { Parameter, Sql } from "./connection/driver.ts";
export { classify, DatabaseError, type DatabaseErrorCode } from "./errors.ts";
export type { Logger } from "./logger.ts";
export {
  DatabaseManager,
  type DatabaseManagerOptions,
  type OperatorCircuit,
  type PingOptions,
  type PingResult,
  type QueryOptions,
  type QueryTag,
} from "./manager.ts";
export {
  migrateUp,
  type MigrationOptions,
  type MigrationResult,
  readSchemaVersion,
  type SchemaVersion,
} from "./migration/migrations.ts";
export type { OperationOptions } from "./operation/operation.ts";
export type { CloseOptions, CloseReason, PoolStats } from "./pool/mod.ts";
export type { DatabaseState, DatabaseStatus, StateChange, StateListener } from "./state.ts";
export type { IsolationLevel, TransactionOptions } from "./operation/transaction_options.ts";
export type { Transaction } from "./operation/transaction_scope.ts";
