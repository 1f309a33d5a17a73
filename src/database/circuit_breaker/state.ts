/**
 * `closed`: calls pass. `open`: calls are rejected until the open time is over. `half-open`: one
 * probe at a time passes, and decides.
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
  /** An operator opened it. */
  | "forced";

/** Why a circuit changed its state. */
export type TransitionReason =
  | OpenReason
  /** Open to half-open. */
  | "openTimeOver"
  /** Half-open to closed. */
  | "probeSucceeded"
  /** An operator closed it. */
  | "reset";

/** One step from a state to another; to the same state when an operator forces it again. */
export interface CircuitTransition {
  /** The state before. */
  readonly from: CircuitState;
  /** The state after. */
  readonly to: CircuitState;
  /** What led to it. */
  readonly reason: TransitionReason;
  /** What led to an opening, as in {@linkcode CircuitOpening}. */
  readonly cause: string | undefined;
  /**
   * When it took effect, in the clock's milliseconds. Listeners hear of what time alone decides at
   * the next use of the breaker, which can be later.
   */
  readonly atMs: number;
}

/** The last time that a circuit opened, and why. */
export interface CircuitOpening {
  /** What led to it. */
  readonly reason: OpenReason;
  /**
   * The code of the error that did it, else its name; `PROBE_TIMEOUT`; or the operator's words.
   * Never the message of an error, which can contain a secret.
   */
  readonly cause: string;
  /** When it opened, in the clock's milliseconds. */
  readonly atMs: number;
}

/** State and counters of a circuit breaker at one moment. Frozen. */
export interface CircuitSnapshot {
  /** The state. */
  readonly state: CircuitState;
  /** Kept after the circuit has closed; undefined when it never opened. */
  readonly lastOpening: CircuitOpening | undefined;
  /** Failures since the last success. */
  readonly consecutiveFailures: number;
  /** The calls that the failure rate is taken of. Kept while not closed, to show why. */
  readonly window: { readonly calls: number; readonly failures: number };
  /** Whether a probe is in flight. */
  readonly isProbing: boolean;
  /** Milliseconds until a probe may pass; only while open and not forced. */
  readonly nextProbeInMs: number | undefined;
  /** Transitions since the start. */
  readonly transitionCount: number;
  /** Calls that were rejected since the start. */
  readonly rejectedCount: number;
}

/**
 * What may be shown of an error: its code if it has one (`ECONNREFUSED`, an SQLSTATE, the code of a
 * `DatabaseError`), else its name, else its type.
 */
export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const code: unknown = "code" in error ? error.code : undefined;
  return typeof code === "string" && /^\w{1,64}$/.test(code) ? code : error.name;
}
