import type { ResolvedCircuitOptions } from "./options.ts";
import type { CallOutcome } from "./permit.ts";
import { causeOf, type OpenReason } from "./state.ts";
import { SlidingWindow } from "./sliding_window.ts";

/** What one call says about the dependency. */
export interface Verdict {
  readonly failed: boolean;
  readonly slow: boolean;
  /** Why it failed. */
  readonly cause: string;
}

/** The verdict on a call; undefined when it says nothing about the dependency. */
export function judge(
  call: { readonly outcome: CallOutcome; readonly error: unknown; readonly durationMs: number },
  { isFailure, isIgnored, slowCallDurationThresholdMs }: ResolvedCircuitOptions,
): Verdict | undefined {
  const { outcome, error, durationMs } = call;
  if (outcome === "ignore" || (outcome === "failure" && isIgnored(error))) return undefined;
  const isError = outcome === "failure" && isFailure(error);
  const slow = durationMs >= slowCallDurationThresholdMs;
  return { failed: isError || slow, slow, cause: isError ? causeOf(error) : "SLOW_CALL" };
}

/** Counts the verdicts, in a row and in the window, and holds them against the thresholds. */
export class VerdictCounts {
  readonly #options: ResolvedCircuitOptions;
  readonly #window: SlidingWindow;
  #consecutiveFailures = 0;

  constructor(options: ResolvedCircuitOptions) {
    this.#options = options;
    this.#window = new SlidingWindow(options.slidingWindowSize);
  }

  /**
   * Counts a verdict while closed. Only a failure can give a reason to open, also
   * when a success is what completes the minimum number of calls.
   */
  add(verdict: Verdict): OpenReason | undefined {
    this.addProbe(verdict);
    this.#window.add(verdict);
    if (!verdict.failed) return undefined;
    const { consecutiveFailureThreshold, failureRateThreshold, minimumNumberOfCalls } =
      this.#options;
    if (this.#consecutiveFailures >= consecutiveFailureThreshold) return "consecutiveFailures";
    const { calls, failureRate } = this.#window;
    const isRateTooHigh = calls >= minimumNumberOfCalls && failureRate >= failureRateThreshold;
    return isRateTooHigh ? "failureRate" : undefined;
  }

  /** Counts a verdict while half-open: the window keeps showing why the circuit opened. */
  addProbe({ failed }: Pick<Verdict, "failed">): void {
    this.#consecutiveFailures = failed ? this.#consecutiveFailures + 1 : 0;
  }

  snapshot() {
    const { calls, failures, slow, failureRate } = this.#window;
    return {
      consecutiveFailures: this.#consecutiveFailures,
      window: Object.freeze({ calls, failures, slow }),
      failureRate,
    };
  }

  clear(): void {
    this.#consecutiveFailures = 0;
    this.#window.clear();
  }
}
