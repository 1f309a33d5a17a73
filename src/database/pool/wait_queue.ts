import type { Clock, TimerHandle } from "../clock.ts";
import { MAX_TIMER_MS } from "../deadline.ts";
import { abortReason, type DatabaseError } from "../errors.ts";
import { Overdue } from "./overdue.ts";

/** How a wait ended. */
export type WaitOutcome = "served" | "failed" | "timeout" | "aborted";

/** One caller in the queue; also a node of its linked list. */
interface Waiter<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  readonly expire: () => void;
  readonly leave: (outcome: WaitOutcome, value?: T) => void;
  previous: Waiter<T> | undefined;
  next: Waiter<T> | undefined;
}

/** Settings of {@linkcode WaitQueue.wait}. */
export interface WaitOptions<T> {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Makes the error of a timeout. */
  readonly onTimeout: () => DatabaseError;
  /** Called once, when the wait is over; with the value if it was served. */
  readonly onEnd: (outcome: WaitOutcome, value: T | undefined) => void;
}

/**
 * Callers that wait for a value, first come first served. Joining, serving and
 * leaving take constant time: a linked list, because thousands of waiters can
 * give up in any order.
 */
export class WaitQueue<T> {
  readonly #clock: Clock;
  readonly #usualTimeoutMs: number;
  readonly #usual: Overdue<Waiter<T>>;
  #first: Waiter<T> | undefined;
  #last: Waiter<T> | undefined;
  #size = 0;

  /** @param usualTimeoutMs The timeout of most waits; those are cheaper. */
  constructor(clock: Clock, usualTimeoutMs: number) {
    this.#clock = clock;
    this.#usualTimeoutMs = usualTimeoutMs;
    this.#usual = new Overdue(clock, usualTimeoutMs, (waiter) => waiter.expire());
  }

  get size(): number {
    return this.#size;
  }

  /**
   * Joins the queue.
   *
   * @throws {DatabaseError} `onTimeout`'s when the time is over, the signal's
   * reason, or what {@linkcode failNext} or {@linkcode failAll} was given.
   */
  wait({ timeoutMs, signal, onTimeout, onEnd }: WaitOptions<T>): Promise<T> {
    if (signal?.aborted) return Promise.reject(abortReason(signal));
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let timer: TimerHandle | undefined;
    const onAbort = () => {
      const reason = abortReason(signal);
      // A deadline of the caller's for more than the wait.
      waiter.leave(reason.code === "ACQUIRE_TIMEOUT" ? "timeout" : "aborted");
      reject(reason);
    };
    const waiter: Waiter<T> = {
      resolve,
      reject,
      expire: () => {
        const error = onTimeout();
        waiter.leave("timeout");
        reject(error);
      },
      leave: (outcome, value) => {
        if (timer === undefined) this.#usual.delete(waiter);
        else this.#clock.clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#remove(waiter);
        onEnd(outcome, value);
      },
      previous: undefined,
      next: undefined,
    };
    if (timeoutMs <= MAX_TIMER_MS) {
      if (timeoutMs === this.#usualTimeoutMs) this.#usual.add(waiter);
      else timer = this.#clock.setTimeout(waiter.expire, timeoutMs);
    }
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#append(waiter);
    return promise;
  }

  /** Gives the value to the first waiter; false when nobody waits. */
  serveNext(value: T): boolean {
    const waiter = this.#first;
    waiter?.leave("served", value);
    waiter?.resolve(value);
    return waiter !== undefined;
  }

  /** Rejects the first waiter; false when nobody waits. */
  failNext(error: unknown): boolean {
    const waiter = this.#first;
    waiter?.leave("failed");
    waiter?.reject(error);
    return waiter !== undefined;
  }

  /** Rejects everyone, each with an error of its own; leaves no timer. */
  failAll(makeError: () => DatabaseError): void {
    while (this.failNext(makeError()));
    this.#usual.clear();
  }

  #append(waiter: Waiter<T>): void {
    waiter.previous = this.#last;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
    this.#size++;
  }

  #remove(waiter: Waiter<T>): void {
    const { previous, next } = waiter;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    // Garbage that has grown old would keep all those alive that came after it.
    waiter.previous = undefined;
    waiter.next = undefined;
    this.#size--;
  }
}
