import { abortable as abortableAsIs, type Clock, sleep as sleepAsIs } from "../time.ts";
import { abortReason } from "./errors.ts";

export { Deadline, type DeadlineOptions, MAX_TIMER_MS } from "../time.ts";

/**
 * As `abortable` of `src/time.ts`, for those who owe their callers a `DatabaseError`.
 *
 * @throws {DatabaseError} `ABORTED`, or the signal's reason when that is a `DatabaseError`.
 * @throws What `promise` rejects with.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await abortableAsIs(promise, signal);
  } catch (error) {
    throw typed(error, signal);
  }
}

/**
 * As `sleep` of `src/time.ts`, for those who owe their callers a `DatabaseError`.
 *
 * @throws {DatabaseError} `ABORTED`, or the signal's reason when that is a `DatabaseError`.
 */
export async function sleep(delayMs: number, signal: AbortSignal, clock: Clock): Promise<void> {
  try {
    await sleepAsIs(delayMs, signal, clock);
  } catch (error) {
    throw typed(error, signal);
  }
}

function typed(error: unknown, signal: AbortSignal): unknown {
  return signal.aborted && error === signal.reason ? abortReason(signal) : error;
}
