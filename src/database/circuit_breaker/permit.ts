/** How a permitted call ended. */
export type CallOutcome = "success" | "failure" | "trip" | "ignore";

/**
 * The right to make one call, which must be told how the call ended. The first
 * end counts, any other does nothing; so `using` gives back a permit that was
 * never told, as {@linkcode CircuitPermit.ignore} does.
 *
 * A permit belongs to the period (the time between two transitions) in which it
 * was given. Told later it changes nothing: how a call ended that began before
 * the circuit opened says nothing about the dependency as it is now.
 */
export interface CircuitPermit extends Disposable {
  /** The dependency answered. */
  success(): void;
  /** The call failed; `isIgnored` and `isFailure` say what that means. */
  failure(error: unknown): void;
  /**
   * The call proves that the dependency does not work: the circuit opens at once, and for at
   * least `minOpenMs` (default 0), for when asking again soon would be useless or do harm.
   */
  trip(error: unknown, options?: { readonly minOpenMs?: number | undefined }): void;
  /** The call says nothing about the dependency. */
  ignore(): void;
}

type OnSettled = (
  permit: Permit,
  outcome: CallOutcome,
  error: unknown,
  minOpenMs: number,
) => void;

/** The permit as its breaker sees it. */
export class Permit implements CircuitPermit {
  readonly period: number;
  /** In the clock's milliseconds; 0 when the breaker needs no time. */
  readonly startedAt: number;
  #onSettled: OnSettled | undefined;

  constructor(period: number, startedAt: number, onSettled: OnSettled) {
    this.period = period;
    this.startedAt = startedAt;
    this.#onSettled = onSettled;
  }

  success(): void {
    this.#settle("success");
  }

  failure(error: unknown): void {
    this.#settle("failure", error);
  }

  trip(
    error: unknown,
    { minOpenMs = 0 }: { readonly minOpenMs?: number | undefined } = {},
  ): void {
    this.#settle("trip", error, minOpenMs);
  }

  ignore(): void {
    this.#settle("ignore");
  }

  [Symbol.dispose](): void {
    this.#settle("ignore");
  }

  #settle(outcome: CallOutcome, error?: unknown, minOpenMs = 0): void {
    const onSettled = this.#onSettled;
    this.#onSettled = undefined;
    onSettled?.(this, outcome, error, minOpenMs);
  }
}
