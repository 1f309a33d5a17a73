/**
 * PostgreSQL for the service: a pool of connections that are each used for one
 * session only, a manager that keeps them connected, and migrations.
 *
 * @module
 */
export type { Access, AccessMode } from "./access_mode.ts";
export {
  type BudgetLimit,
  type BudgetScope,
  type ConnectionBudget,
  describeShortage,
} from "./budget.ts";
export type {
  CircuitOpening,
  CircuitSnapshot,
  CircuitState,
  CircuitTransition,
  OpenReason,
  TransitionReason,
} from "./circuit_breaker/mod.ts";
export { type Clock, systemClock, type TimerHandle } from "../time.ts";
export { connect, type ConnectOptions } from "./connection/connect.ts";
export type { Connection, ServerRole, ServerRun } from "./connection/connection.ts";
export type { EndedStatement, StatementObserver } from "./connection/driver.ts";
export type { Lookup } from "./connection/socket.ts";
export type { TimeLimitOptions } from "./operation/time_limit.ts";
export type { Resource } from "./pool/mod.ts";
export type {
  DatabaseConfig,
  DatabaseTlsConfig,
  HostAddress,
  Login,
  PoolerMode,
  Secret,
  SslMode,
  TargetSessionAttrs,
} from "../config/mod.ts";
export {
  type Json,
  type Parameter,
  type Rows,
  type Sql,
  sql,
  type SqlPart,
  type SqlParts,
  type SqlValue,
  type Statement,
  type StreamOptions,
} from "./connection/sql.ts";
export { codeOfSystemError } from "./error_codes.ts";
export { classify, DatabaseError, type DatabaseErrorCode } from "./errors.ts";
export type { OperatorCircuit, PoolView } from "./managed_pool/routing.ts";
export type { EnsureSchema } from "./managed_pool/server_state.ts";
export type { PingOptions } from "./managed_pool/ping.ts";
export type { Logger } from "./logger.ts";
export {
  DatabaseManager,
  type DatabaseManagerOptions,
  DEFAULT_DATABASE_NAME,
  type PingResult,
  type QueryTag,
} from "./manager.ts";
export { createMigration, folderAt } from "./migration/files.ts";
export {
  migrateDown,
  type MigrateOptions,
  migrateTo,
  migrateUp,
  type MigrationResult,
} from "./migration/migrate.ts";
export { dropSchema, forceVersion } from "./migration/repair.ts";
export { ensureSchema, querySchemaVersion, readSchemaVersion } from "./migration/schema.ts";
export type { MigrationOptions } from "./migration/session.ts";
export {
  type MigrationStatus,
  type MigrationWarning,
  readMigrationStatus,
  type VersionState,
  type VersionStatus,
} from "./migration/status.ts";
export type { SchemaVersion } from "./migration/tables.ts";
export type { DatabaseObserver, OperationName, PoolName, PoolObserver } from "./observer.ts";
export type { OperationOptions, Work } from "./operation/operation.ts";
export type { CloseOptions, CloseReason, PoolStats } from "./pool/mod.ts";
export type { DatabaseState, DatabaseStatus, StateChange, StateListener } from "./state.ts";
export type { IsolationLevel, TransactionOptions } from "./operation/transaction.ts";
export type { Transaction } from "./operation/transaction_scope.ts";
