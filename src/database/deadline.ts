import { type Clock, systemClock } from "./clock.ts";
import { abortReason, type DatabaseError } from "./errors.ts";

/** `setTimeout` fires at once when asked for more. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** Settings of a {@linkcode Deadline}. */
export interface DeadlineOptions {
  readonly timeoutMs: number;
  /** Makes the error that `signal` aborts with when the time is over. */
  readonly onTimeout: () => DatabaseError;
  /** Aborts the deadline's signal as well. */
  readonly signal?: AbortSignal | undefined;
  readonly clock?: Clock | undefined;
}

/**
 * A signal that aborts after a time or together with another signal, whichever
 * comes first. Disposing it takes its timer and listener away, which
 * `AbortSignal.any` and `AbortSignal.timeout` cannot.
 *
 * ```ts ignore
 * using deadline = new Deadline({ timeoutMs: 5000, onTimeout: () => new DatabaseError("PING_TIMEOUT") });
 * await work(deadline.signal);
 * ```
 */
export class Deadline implements Disposable {
  readonly signal: AbortSignal;
  readonly #dispose: () => void;

  constructor(options: DeadlineOptions) {
    const { timeoutMs, onTimeout, signal: parent, clock = systemClock } = options;
    const controller = new AbortController();
    this.signal = controller.signal;

    const onAbort = () => controller.abort(abortReason(parent));
    if (parent?.aborted) onAbort();
    parent?.addEventListener("abort", onAbort, { once: true });

    const timer = timeoutMs <= MAX_TIMER_MS
      ? clock.setTimeout(() => controller.abort(onTimeout()), Math.max(0, timeoutMs))
      : undefined;
    this.#dispose = () => {
      clock.clearTimeout(timer);
      parent?.removeEventListener("abort", onAbort);
    };
  }

  [Symbol.dispose](): void {
    this.#dispose();
  }
}

/**
 * Settles as `promise` does, or rejects with the signal's reason as soon as it
 * aborts. The promise itself is not stopped; its late result or error is dropped.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(abortReason(signal));
  signal.addEventListener("abort", onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/** Waits; rejects with the signal's reason when it aborts first. */
export async function sleep(delayMs: number, signal: AbortSignal, clock: Clock): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.setTimeout(resolve, Math.min(delayMs, MAX_TIMER_MS));
  try {
    await abortable(promise, signal);
  } finally {
    clock.clearTimeout(timer);
  }
}
