/**
 * A circuit breaker for any operation: it stops calls to something that does not work, so that
 * callers fail at once.
 *
 * @module
 */
export { CircuitBreaker, CircuitOpenError } from "./circuit_breaker.ts";
export type { CircuitBreakerOptions } from "./options.ts";
export type { CircuitPermit } from "./permit.ts";
export type { CircuitSnapshot, CircuitState, CircuitTransition } from "./state.ts";
