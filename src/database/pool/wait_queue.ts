import { type Clock, MAX_TIMER_MS, SharedTimeout, type TimerHandle } from "../../time.ts";

/** What a caller waits with. */
export interface Wait<T> {
  /** More than {@linkcode MAX_TIMER_MS}, such as Infinity, means no time limit. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  /** Makes the error of a timeout, while the caller is still in the queue. */
  readonly onTimeout: () => Error;
  /** Called once, when the wait is over; with the value if it was served. */
  readonly onEnd: (outcome: WaitOutcome, value: T | undefined) => void;
}

/** How a wait ended. */
export type WaitOutcome = "served" | "failed" | "timeout" | "aborted";

/** One caller in the queue; also a node of its linked list. */
interface Waiter<T> {
  readonly wait: Wait<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
  /** When its timeout is not the usual one. */
  timer: TimerHandle | undefined;
  onAbort: (() => void) | undefined;
  previous: Waiter<T> | undefined;
  next: Waiter<T> | undefined;
}

/**
 * Callers that wait for a value, first come first served. Joining, serving and leaving take constant
 * time: a linked list, because thousands of waiters can give up in any order.
 */
export class WaitQueue<T> {
  readonly #clock: Clock;
  readonly #usualTimeoutMs: number;
  readonly #usual: SharedTimeout<Waiter<T>>;
  #first: Waiter<T> | undefined;
  #last: Waiter<T> | undefined;
  /** How many wait; only the queue changes it. */
  size = 0;

  /** @param usualTimeoutMs The timeout of most waits; those share a timer. */
  constructor(clock: Clock, usualTimeoutMs: number) {
    this.#clock = clock;
    this.#usualTimeoutMs = usualTimeoutMs;
    this.#usual = new SharedTimeout(clock, usualTimeoutMs, (waiter) => this.#timeOut(waiter));
  }

  /**
   * Joins the queue.
   *
   * @throws `onTimeout`'s error when the time is over, the signal's reason, or what
   * {@linkcode failNext} or {@linkcode failAll} was given.
   */
  join(wait: Wait<T>): Promise<T> {
    const { timeoutMs, signal } = wait;
    if (signal?.aborted) return Promise.reject(signal.reason);
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const waiter: Waiter<T> = {
      wait,
      resolve,
      reject,
      timer: undefined,
      onAbort: undefined,
      previous: undefined,
      next: undefined,
    };
    if (timeoutMs <= MAX_TIMER_MS) {
      if (timeoutMs === this.#usualTimeoutMs) this.#usual.add(waiter);
      else waiter.timer = this.#clock.setTimeout(() => this.#timeOut(waiter), timeoutMs);
    }
    if (signal !== undefined) {
      waiter.onAbort = () => this.#fail(waiter, "aborted", signal.reason);
      signal.addEventListener("abort", waiter.onAbort, { once: true });
    }
    this.#append(waiter);
    return promise;
  }

  /** Gives the value to the first waiter; false when no caller waits. */
  serveNext(value: T): boolean {
    const waiter = this.#first;
    if (waiter === undefined) return false;
    this.#leave(waiter, "served", value);
    waiter.resolve(value);
    return true;
  }

  /** Rejects the first waiter; false when no caller waits. */
  failNext(error: unknown): boolean {
    const waiter = this.#first;
    if (waiter === undefined) return false;
    this.#fail(waiter, "failed", error);
    return true;
  }

  /** Rejects everyone, each with an error of its own; leaves no timer. */
  failAll(makeError: () => unknown): void {
    while (this.#first !== undefined) this.failNext(makeError());
    this.#usual.clear();
  }

  #timeOut(waiter: Waiter<T>): void {
    this.#fail(waiter, "timeout", waiter.wait.onTimeout());
  }

  #fail(waiter: Waiter<T>, outcome: WaitOutcome, error: unknown): void {
    this.#leave(waiter, outcome);
    waiter.reject(error);
  }

  #leave(waiter: Waiter<T>, outcome: WaitOutcome, value?: T): void {
    const { wait, timer, onAbort } = waiter;
    if (timer === undefined) this.#usual.delete(waiter);
    else this.#clock.clearTimeout(timer);
    if (onAbort !== undefined) wait.signal?.removeEventListener("abort", onAbort);
    this.#remove(waiter);
    wait.onEnd(outcome, value);
  }

  #append(waiter: Waiter<T>): void {
    waiter.previous = this.#last;
    if (this.#last === undefined) this.#first = waiter;
    else this.#last.next = waiter;
    this.#last = waiter;
    this.size++;
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
    this.size--;
  }
}
