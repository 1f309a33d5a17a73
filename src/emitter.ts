/** Hears of each event. */
export type Listener<Event> = (event: Event) => void;

/**
 * Tells its listeners of events, in the order in which they subscribed.
 *
 * An event goes to those who are subscribed when {@linkcode Emitter.emit} is called. An event that a
 * listener emits waits until all have heard the present one, so everyone hears the same order.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import { Emitter } from "./emitter.ts";
 *
 * const temperature = new Emitter<number>();
 * const heard: number[] = [];
 * const unsubscribe = temperature.subscribe((celsius) => heard.push(celsius));
 * temperature.emit(20);
 * unsubscribe();
 * temperature.emit(21);
 * assert.deepEqual(heard, [20]);
 * ```
 */
export class Emitter<Event> {
  readonly #onError: (error: unknown) => void;
  /** Replaced when it changes, so that an event keeps the listeners that it was emitted for. */
  #subscriptions: readonly Subscription<Event>[] = [];
  readonly #pending: (readonly [Event, readonly Subscription<Event>[]])[] = [];
  #isEmitting = false;

  /**
   * An emitter without listeners. A listener that throws stops neither the others nor the caller of
   * {@linkcode Emitter.emit}.
   *
   * @param onError Gets what a listener throws; must not throw itself. Default: it becomes an
   * uncaught error of the process.
   */
  constructor(onError: (error: unknown) => void = throwUncaught) {
    this.#onError = onError;
  }

  /**
   * Calls the listener for every event from now on. Each subscription is its own: a function that
   * is subscribed twice is called twice.
   *
   * @returns The function that ends this subscription.
   */
  subscribe(listener: Listener<Event>): () => void {
    const subscription = { listener };
    this.#subscriptions = [...this.#subscriptions, subscription];
    return () => {
      this.#subscriptions = this.#subscriptions.filter((other) => other !== subscription);
    };
  }

  /** Calls every listener, and returns when all have been called, unless a listener emits. */
  emit(event: Event): void {
    this.#pending.push([event, this.#subscriptions]);
    if (this.#isEmitting) return;
    this.#isEmitting = true;
    try {
      for (let next = this.#pending.shift(); next; next = this.#pending.shift()) {
        const [event, subscriptions] = next;
        for (const { listener } of subscriptions) this.#call(listener, event);
      }
    } finally {
      this.#isEmitting = false;
    }
  }

  /** Ends all subscriptions. */
  clear(): void {
    this.#subscriptions = [];
  }

  #call(listener: Listener<Event>, event: Event): void {
    try {
      listener(event);
    } catch (error) {
      this.#onError(error);
    }
  }
}

/** An object, so that the same function can be in several. */
interface Subscription<Event> {
  readonly listener: Listener<Event>;
}

/** As `reportError` does, which not every runtime has. */
function throwUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
