/**
 * `closed`: calls pass. `open`: calls are rejected until the open time is over.
 * `half-open`: a few probes pass and decide.
 */
export type CircuitState = "closed" | "open" | "half-open";

/** Why a circuit opened. */
export type OpenReason =
  | "consecutiveFailures"
  | "failureRate"
  /** A call proved that the dependency does not work. */
  | "tripped"
  /** A probe failed. */
  | "probeFailed"
  /** A probe had no result in time. */
  | "probeTimeout"
  /** An operator wanted it. */
  | "forced";

/** Why a circuit changed its state. */
export type TransitionReason =
  | OpenReason
  /** Open to half-open. */
  | "openTimeOver"
  /** Half-open to closed. */
  | "probesSucceeded"
  /** An operator closed it. */
  | "reset";

/** One step from a state to another; to the same state when an operator forces it again. */
export interface CircuitTransition {
  readonly from: CircuitState;
  readonly to: CircuitState;
  readonly reason: TransitionReason;
  /** What led to an opening, as in {@linkcode CircuitOpening}. */
  readonly cause: string | undefined;
  /**
   * When it took effect. What time alone decides is told when somebody next asks
   * the breaker, which can be later.
   */
  readonly at: Date;
}

/** The last time that a circuit opened, and why. */
export interface CircuitOpening {
  readonly reason: OpenReason;
  /**
   * The code of the error that did it, else its name, `SLOW_CALL`, `PROBE_TIMEOUT`,
   * or the operator's words. Never an error's message, which can hold anything.
   */
  readonly cause: string;
  readonly at: Date;
}

/** What a circuit breaker knows, at one moment. Frozen. */
export interface CircuitSnapshot {
  readonly state: CircuitState;
  /** Kept after the circuit has closed; undefined when it never opened. */
  readonly lastOpening: CircuitOpening | undefined;
  readonly consecutiveFailures: number;
  /** The calls that the failure rate is taken of; kept while open, to show why. */
  readonly window: {
    readonly calls: number;
    readonly failures: number;
    readonly slow: number;
  };
  /** Failures of the calls in the window, from 0 to 1. Below the minimum number it decides nothing. */
  readonly failureRate: number;
  /** Of this half-open period. */
  readonly probesInFlight: number;
  /** Of this half-open period. */
  readonly probesSucceeded: number;
  /** Time until the first probe is let through; only while open and not forced. */
  readonly nextProbeInMs: number | undefined;
  /** The same as a date. */
  readonly nextProbeAt: Date | undefined;
  readonly transitionCount: number;
  /** Calls that were not let through. */
  readonly rejectedCount: number;
}

/**
 * What may be shown of an error: its code when it has one (`ECONNREFUSED`, an
 * SQLSTATE, the code of a `DatabaseError`), else its name, else its type.
 */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code: unknown = "code" in error ? error.code : undefined;
  return typeof code === "string" && /^\w{1,64}$/.test(code) ? code : error.name;
}
