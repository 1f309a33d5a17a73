import pRetry from "p-retry";
import { abortReason, classify, type DatabaseError } from "./errors.ts";
import { type Clock, sleep } from "../time.ts";

/** How much later than configured a rejected login is tried again at most, as a part. */
const SLOW_JITTER = 0.1;

/** Settings of {@linkcode retry}. */
export interface RetryOptions {
  /** Upper limit of the first delay; it doubles with every failure. */
  readonly initialDelayMs: number;
  /** The upper limit never grows beyond this. */
  readonly maxDelayMs: number;
  /** The delay after an outage that cannot pass by itself, with {@linkcode slowDelay}'s jitter. */
  readonly authRetryDelayMs: number;
  /** Ends the retries, also while one waits. */
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** From 0 up to 1; for the jitter. */
  readonly random: () => number;
  /** Called after each failure, before the delay. */
  readonly onFailure: (error: DatabaseError, delayMs: number) => void;
}

/**
 * Tries until it succeeds or the signal aborts. Delays grow exponentially with
 * full jitter (a random part of the limit), so that many clients of a database
 * that comes back do not all come at once. An error that cannot pass by itself
 * (`retryable` is false) waits for the whole longest delay each time; and when
 * it is an outage, such as a rejected password, for `authRetryDelayMs`.
 *
 * @throws The signal's reason; nothing else ends it.
 *
 * Source of full jitter: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
 */
export function retry<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, clock, onFailure } = options;
  return pRetry(
    () => attempt().catch((error) => Promise.reject(classify(error))),
    {
      retries: Infinity,
      // The delay is made below: p-retry's own has no full jitter and no delay per error.
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

/** Settings of {@linkcode retrySome}. */
export interface RetrySomeOptions
  extends Pick<RetryOptions, "initialDelayMs" | "maxDelayMs" | "clock" | "random"> {
  /** Most attempts after the first. */
  readonly retries: number;
  /** Whether it makes sense to try again after this error. */
  readonly isRetryable: (error: unknown) => boolean;
  /** Ends the retries, also while one waits; the result of an attempt is never dropped. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Tries again after some errors, a few times, with the delays of {@linkcode retry}.
 *
 * Not with p-retry: it would throw away the success of an attempt when the signal
 * has aborted meanwhile, but what is committed is committed.
 *
 * @throws What the last attempt has thrown, as it is, or the signal's reason.
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

/** The delay after the nth failure. */
export function retryDelay(
  attemptNumber: number,
  error: DatabaseError,
  options: DelayOptions,
): number {
  if (error.retryable) return fullJitter(attemptNumber, options);
  return error.isOutage ? slowDelay(options) : options.maxDelayMs;
}

/** The delay after what cannot pass by itself: long, but not the same for all replicas. */
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
