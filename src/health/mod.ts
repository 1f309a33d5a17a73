/**
 * The health of the service and its dependencies: checkers check one dependency each, the registry
 * runs them and keeps the results, and two RPC services report them.
 *
 * @module
 */
export { aggregate, type Verdict } from "./aggregate.ts";
export type { HealthObserver } from "./check_runner.ts";
export {
  CheckTimer,
  type Dependency,
  type DependencyChecker,
  type DependencyTarget,
  type Finding,
  OVERRUN_MARGIN_MS,
} from "./checker.ts";
export { systemWallClock, type WallClock } from "./clock.ts";
export { GrpcChecker, type GrpcCheckerOptions } from "./grpc_checker.ts";
export { createGrpcHealthService, type GrpcHealthServiceOptions } from "./grpc_health_service.ts";
export { createHealthService, type HealthServiceOptions } from "./health_service.ts";
export { HealthHistory, type HealthHistoryOptions } from "./history.ts";
export {
  type DatabaseProbe,
  PostgreSQLChecker,
  type PostgreSQLCheckerOptions,
} from "./postgresql_checker.ts";
export {
  type CheckOptions,
  HealthRegistry,
  type HealthRegistryOptions,
  type Readiness,
  UnknownDependencyError,
} from "./registry.ts";
export {
  AccessMode,
  CircuitState,
  type ConnectionPoolInfo,
  type DependencyConfig,
  type DependencyHealth,
  DependencyType,
  type HealthEvent,
  ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
export { type HealthReport, sameStory } from "./report.ts";
export { Health } from "../../gen/treasury/v1/health_pb.ts";
export { Health as GrpcHealth } from "../../gen/grpc/health/v1/health_pb.ts";
export type { ServiceImpl } from "@connectrpc/connect";
