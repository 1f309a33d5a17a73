import pRetry from "p-retry";
import { abortReason, classify, type DatabaseError } from "./errors.ts";
import { type Clock, sleep } from "../time.ts";

/** Maximum random addition to the delay after a rejected login, as a fraction of it. */
const SLOW_JITTER = 0.1;

/** Delays of {@linkcode retry}, in milliseconds. */
export interface RetryOptions {
  /** Upper bound of the first delay; it doubles with every failure. */
  readonly initialDelayMs: number;
  /** Maximum of the upper bound. */
  readonly maxDelayMs: number;
  /** Delay after an outage that needs intervention, with the jitter of {@linkcode slowDelay}. */
  readonly authRetryDelayMs: number;
  /** Ends the retries, also during a delay. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Returns a number from 0 up to 1, for the jitter. */
  readonly random: () => number;
  /** Called after each failure, before the delay. */
  readonly onFailure: (error: DatabaseError, delayMs: number) => void;
}

/**
 * Retries until success or until the signal aborts. Delays grow exponentially with full jitter (a
 * random fraction of the upper bound), so that the clients of a database do not all reconnect at
 * the same time. After an error that needs intervention (`retryable` is false) the delay is
 * `maxDelayMs`; if it is also an outage, such as a rejected password, `authRetryDelayMs`.
 *
 * @throws Only the reason of the signal.
 *
 * Source of full jitter: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
 */
export function retry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, clock, onFailure } = options;
  return pRetry(
    () => attempt().catch((error) => Promise.reject(classify(error))),
    {
      retries: Infinity,
      // The delay is below: p-retry has no full jitter and no delay per error.
      minTimeout: 0,
      signal,
      onFailedAttempt: async ({ error, attemptNumber }) => {
        const failure = classify(error);
        const delayMs = retryDelay(attemptNumber, failure, options);
        onFailure(failure, delayMs);
        await sleep(delayMs, signal, clock, abortReason);
      },
    },
  );
}

/** Delays and number of retries of {@linkcode retrySome}. */
export interface RetrySomeOptions
  extends Pick<RetryOptions, "initialDelayMs" | "maxDelayMs" | "clock" | "random"> {
  /** Maximum number of retries after the first attempt. */
  readonly retries: number;
  /** Whether to retry after this error. */
  readonly isRetryable: (error: unknown) => boolean;
  /** Ends the retries, also during a delay; the result of an attempt is never discarded. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Retries after some errors, a limited number of times, with the delays of {@linkcode retry}.
 *
 * Does not use p-retry, which discards the success of an attempt if the signal has aborted in the
 * meantime, although its transaction is committed.
 *
 * @throws The error of the last attempt, unchanged, or the reason of the signal.
 */
export async function retrySome<T>(
  attempt: () => Promise<T>,
  options: RetrySomeOptions,
): Promise<T> {
  const { retries, isRetryable, clock, signal = new AbortController().signal } = options;
  for (let attemptNumber = 1;; attemptNumber++) {
    try {
      return await attempt();
    } catch (error) {
      if (attemptNumber > retries || !isRetryable(error)) throw error;
      await sleep(fullJitter(attemptNumber, options), signal, clock, abortReason);
    }
  }
}

/** Returns the delay after the nth failure. */
export function retryDelay(
  attemptNumber: number,
  error: DatabaseError,
  options: DelayOptions,
): number {
  if (error.retryable) return fullJitter(attemptNumber, options);
  return error.isOutage ? slowDelay(options) : options.maxDelayMs;
}

/**
 * Returns the delay after an error that needs intervention: long, but different for each instance.
 */
export function slowDelay(
  { authRetryDelayMs, random }: Pick<DelayOptions, "authRetryDelayMs" | "random">,
): number {
  return authRetryDelayMs * (1 + SLOW_JITTER * random());
}

type JitterOptions = Pick<RetryOptions, "initialDelayMs" | "maxDelayMs" | "random">;
type DelayOptions = JitterOptions & Pick<RetryOptions, "authRetryDelayMs">;

function fullJitter(
  attemptNumber: number,
  { initialDelayMs, maxDelayMs, random }: JitterOptions,
): number {
  return random() * Math.min(maxDelayMs, initialDelayMs * 2 ** (attemptNumber - 1));
}
