/** A function that is called with each event. */
export type Listener<Event> = (event: Event) => void;

/**
 * Calls listeners with events, in the order in which the listeners subscribed.
 *
 * An event goes to the listeners that are subscribed when {@linkcode Emitter.emit} is called. An
 * event that a listener emits is delivered after the current one, so all listeners see the same
 * order.
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
  /** Replaced on each change, so that an event keeps the listeners that it was emitted to. */
  #subscriptions: readonly Subscription<Event>[] = [];
  readonly #pending: (readonly [Event, readonly Subscription<Event>[]])[] = [];
  #isEmitting = false;

  /**
   * Creates an emitter without listeners. An error of a listener affects neither the other
   * listeners nor the caller of {@linkcode Emitter.emit}.
   *
   * @param onError Called with errors of listeners; must not throw. Default: throws them as
   * uncaught errors of the process.
   */
  constructor(onError: (error: unknown) => void = throwUncaught) {
    this.#onError = onError;
  }

  /**
   * Calls the listener for each event from now on. Subscribing a function twice calls it twice.
   *
   * @returns A function that ends this subscription.
   */
  subscribe(listener: Listener<Event>): () => void {
    const subscription = { listener };
    this.#subscriptions = [...this.#subscriptions, subscription];
    return () => {
      this.#subscriptions = this.#subscriptions.filter((other) => other !== subscription);
    };
  }

  /** Calls every listener before it returns, except when called by a listener. */
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

/** An object, so that a function can be subscribed several times. */
interface Subscription<Event> {
  readonly listener: Listener<Event>;
}

/** Like `reportError`, which some runtimes lack. */
function throwUncaught(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
