import { type Clock, systemClock } from "../clock.ts";

/**
 * Settings of a circuit breaker. The names are those of resilience4j, and of
 * Failsafe for `successThreshold`.
 */
export interface CircuitBreakerOptions {
  /** Opens after this many failures in a row; Infinity turns that off. Default: 5. */
  readonly consecutiveFailureThreshold?: number | undefined;
  /**
   * Opens when this part of the calls in the window has failed, above 0 and up
   * to 1; Infinity turns that off. Default: 0.5.
   */
  readonly failureRateThreshold?: number | undefined;
  /** The last calls that the failure rate is taken of. Default: 100. */
  readonly slidingWindowSize?: number | undefined;
  /** With fewer calls in the window the failure rate opens nothing. Default: 20. */
  readonly minimumNumberOfCalls?: number | undefined;
  /**
   * A call that takes this long is a failure, also when it succeeds. Only for a
   * breaker whose operations all should be quick. Default: Infinity, which is off.
   */
  readonly slowCallDurationThresholdMs?: number | undefined;
  /** Upper limit of the first open time; it doubles with every opening. Default: 1000. */
  readonly initialOpenMs?: number | undefined;
  /** The upper limit never grows beyond this. Default: 30,000. */
  readonly maxOpenMs?: number | undefined;
  /** Probes that may be under way at once while half-open. Default: 1. */
  readonly permittedCallsInHalfOpen?: number | undefined;
  /** Probes that must succeed, without a failure, to close. Default: 1. */
  readonly successThreshold?: number | undefined;
  /**
   * A probe without a result for this long has failed, so that a probe that is
   * lost cannot keep the circuit half-open. Infinity turns that off. Default: 30,000.
   */
  readonly probeTimeoutMs?: number | undefined;
  /**
   * Whether an error says that the dependency does not work. Any other error is
   * an answer, hence a success. Default: every error does.
   */
  readonly isFailure?: ((error: unknown) => boolean) | undefined;
  /**
   * Whether an error says nothing about the dependency, for instance that the
   * caller gave up. Asked before `isFailure`. Default: no error does.
   */
  readonly isIgnored?: ((error: unknown) => boolean) | undefined;
  /** Gets what a listener threw. Default: it is dropped. */
  readonly onListenerError?: ((error: unknown) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** Milliseconds since 1970, for the dates in snapshots and events. Default: `Date.now`. */
  readonly epochNow?: (() => number) | undefined;
  /** From 0 up to 1; for the jitter. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** The settings with their defaults. */
export type ResolvedCircuitOptions = {
  readonly [K in keyof CircuitBreakerOptions]-?: NonNullable<CircuitBreakerOptions[K]>;
};

/** @throws {RangeError} Names the setting that makes no sense. */
export function resolveCircuitOptions(options: CircuitBreakerOptions): ResolvedCircuitOptions {
  const resolved: ResolvedCircuitOptions = {
    consecutiveFailureThreshold: options.consecutiveFailureThreshold ?? 5,
    failureRateThreshold: options.failureRateThreshold ?? 0.5,
    slidingWindowSize: options.slidingWindowSize ?? 100,
    minimumNumberOfCalls: options.minimumNumberOfCalls ?? 20,
    slowCallDurationThresholdMs: options.slowCallDurationThresholdMs ?? Infinity,
    initialOpenMs: options.initialOpenMs ?? 1000,
    maxOpenMs: options.maxOpenMs ?? 30_000,
    permittedCallsInHalfOpen: options.permittedCallsInHalfOpen ?? 1,
    successThreshold: options.successThreshold ?? 1,
    probeTimeoutMs: options.probeTimeoutMs ?? 30_000,
    isFailure: options.isFailure ?? (() => true),
    isIgnored: options.isIgnored ?? (() => false),
    onListenerError: options.onListenerError ?? (() => {}),
    clock: options.clock ?? systemClock,
    epochNow: options.epochNow ?? Date.now,
    random: options.random ?? Math.random,
  };
  checkNumbers(resolved);
  return resolved;
}

function checkNumbers(options: ResolvedCircuitOptions): void {
  const check = (name: keyof CircuitBreakerOptions, isGood: boolean, rule: string) => {
    if (!isGood) throw new RangeError(`${name} must be ${rule}, not ${options[name]}`);
  };
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 1;
  const { consecutiveFailureThreshold, failureRateThreshold, slidingWindowSize } = options;

  check(
    "consecutiveFailureThreshold",
    isCount(consecutiveFailureThreshold) || consecutiveFailureThreshold === Infinity,
    "a whole number from 1, or Infinity",
  );
  check(
    "failureRateThreshold",
    failureRateThreshold > 0 && (failureRateThreshold <= 1 || failureRateThreshold === Infinity),
    "above 0 and up to 1, or Infinity",
  );
  check("slidingWindowSize", isCount(slidingWindowSize), "a whole number from 1");
  check(
    "minimumNumberOfCalls",
    isCount(options.minimumNumberOfCalls) && options.minimumNumberOfCalls <= slidingWindowSize,
    `a whole number from 1 to slidingWindowSize (${slidingWindowSize})`,
  );
  for (const name of ["permittedCallsInHalfOpen", "successThreshold"] as const) {
    check(name, isCount(options[name]), "a whole number from 1");
  }
  for (const name of ["slowCallDurationThresholdMs", "probeTimeoutMs"] as const) {
    check(name, options[name] > 0, "above 0, or Infinity");
  }
  check(
    "initialOpenMs",
    Number.isFinite(options.initialOpenMs) && options.initialOpenMs > 0,
    "above 0",
  );
  check(
    "maxOpenMs",
    Number.isFinite(options.maxOpenMs) && options.maxOpenMs >= options.initialOpenMs,
    `at least initialOpenMs (${options.initialOpenMs})`,
  );
}
