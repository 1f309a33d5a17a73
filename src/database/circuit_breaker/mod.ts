/**
 * A circuit breaker for any operation: it stops calls to a dependency that does not work, so that
 * callers fail at once.
 *
 * @module
 */
export { CircuitBreaker, CircuitOpenError, type CircuitPermit } from "./circuit_breaker.ts";
export type { CircuitBreakerOptions } from "./options.ts";
export type {
  CircuitOpening,
  CircuitSnapshot,
  CircuitState,
  CircuitTransition,
  OpenReason,
  TransitionReason,
} from "./state.ts";
