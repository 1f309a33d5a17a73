/**
 * How the service and everything it depends on are doing: checkers find out, the registry runs them
 * and remembers, two RPC services tell.
 *
 * @module
 */
export { aggregate, type Verdict } from "./aggregate.ts";
export type { HealthObserver } from "./check_runner.ts";
export {
  CheckTimer,
  type Dependency,
  type DependencyChecker,
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
export { type HealthReport, sameStory } from "./report.ts";
