/** When a circuit breaker opens, and for how long. The names are those of resilience4j. */
export interface CircuitBreakerOptions {
  /** Opens after this many failures in a row; Infinity turns that off. Default: 5. */
  readonly consecutiveFailureThreshold?: number | undefined;
  /**
   * Opens when this part of the calls in the window has failed, above 0 and up to 1; Infinity turns
   * that off. Default: 0.5.
   */
  readonly failureRateThreshold?: number | undefined;
  /** The last calls that the failure rate is taken of. Default: 100. */
  readonly slidingWindowSize?: number | undefined;
  /** With fewer calls in the window the failure rate opens nothing. Default: 20. */
  readonly minimumNumberOfCalls?: number | undefined;
  /**
   * Upper limit of the first open time, in milliseconds; it doubles with every opening until the
   * circuit closes. Default: 1000.
   */
  readonly initialOpenMs?: number | undefined;
  /** The limit stops growing here, in milliseconds. Default: 30,000. */
  readonly maxOpenMs?: number | undefined;
  /**
   * A probe without a result after so many milliseconds has failed, so that a lost probe cannot
   * keep the circuit half-open. Infinity turns that off. Default: 30,000.
   */
  readonly probeTimeoutMs?: number | undefined;
  /**
   * Whether an error says that the dependency does not work. Any other error is an answer of it,
   * hence a success. Default: every error does.
   */
  readonly isFailure?: ((error: unknown) => boolean) | undefined;
  /**
   * Whether an error says nothing about the dependency, for instance that the caller gave up. Asked
   * before `isFailure`. Default: no error does.
   */
  readonly isIgnored?: ((error: unknown) => boolean) | undefined;
  /** Gets what a listener threw. Default: it becomes an uncaught error of the process. */
  readonly onListenerError?: ((error: unknown) => void) | undefined;
  /** Monotonic milliseconds, of which only differences mean something. Default: `performance`. */
  readonly clock?: { now(): number } | undefined;
  /** From 0 up to 1, for the jitter. Default: `Math.random`. */
  readonly random?: (() => number) | undefined;
}

/** The options with their defaults. */
export type ResolvedOptions = {
  readonly [K in Exclude<keyof CircuitBreakerOptions, "onListenerError">]-?: NonNullable<
    CircuitBreakerOptions[K]
  >;
};

/**
 * Fills in the defaults.
 *
 * @throws {RangeError} Names the option that is out of range.
 */
export function resolveOptions(options: CircuitBreakerOptions): ResolvedOptions {
  const resolved: ResolvedOptions = {
    consecutiveFailureThreshold: options.consecutiveFailureThreshold ?? 5,
    failureRateThreshold: options.failureRateThreshold ?? 0.5,
    slidingWindowSize: options.slidingWindowSize ?? 100,
    minimumNumberOfCalls: options.minimumNumberOfCalls ?? 20,
    initialOpenMs: options.initialOpenMs ?? 1000,
    maxOpenMs: options.maxOpenMs ?? 30_000,
    probeTimeoutMs: options.probeTimeoutMs ?? 30_000,
    isFailure: options.isFailure ?? (() => true),
    isIgnored: options.isIgnored ?? (() => false),
    clock: options.clock ?? performance,
    random: options.random ?? Math.random,
  };
  checkNumbers(resolved);
  return resolved;
}

function checkNumbers(options: ResolvedOptions): void {
  const check = (name: keyof ResolvedOptions, isGood: boolean, rule: string) => {
    if (!isGood) throw new RangeError(`${name} must be ${rule}, not ${options[name]}`);
  };
  const isCount = (value: number) => Number.isSafeInteger(value) && value >= 1;
  const { consecutiveFailureThreshold, failureRateThreshold, slidingWindowSize } = options;
  const { minimumNumberOfCalls, initialOpenMs, maxOpenMs } = options;

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
    isCount(minimumNumberOfCalls) && minimumNumberOfCalls <= slidingWindowSize,
    `a whole number from 1 to slidingWindowSize (${slidingWindowSize})`,
  );
  check("initialOpenMs", Number.isFinite(initialOpenMs) && initialOpenMs > 0, "above 0");
  check(
    "maxOpenMs",
    Number.isFinite(maxOpenMs) && maxOpenMs >= initialOpenMs,
    `at least initialOpenMs (${initialOpenMs})`,
  );
  check("probeTimeoutMs", options.probeTimeoutMs > 0, "above 0, or Infinity");
}
