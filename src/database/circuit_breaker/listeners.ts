import type { CircuitTransition } from "./state.ts";

export type TransitionListener = (transition: CircuitTransition) => void;

/**
 * Tells every listener of every transition in order, also of those that a
 * listener causes itself: they wait until all have heard of the first.
 */
export class TransitionListeners {
  readonly #onError: (error: unknown) => void;
  readonly #listeners = new Set<TransitionListener>();
  readonly #pending: CircuitTransition[] = [];
  #isTelling = false;

  /** @param onError Gets what a listener threw. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** Call the result to stop. */
  add(listener: TransitionListener): () => void {
    // Wrapped, so that one function can be added twice.
    const own: TransitionListener = (transition) => listener(transition);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  tell(transition: CircuitTransition): void {
    this.#pending.push(transition);
    if (this.#isTelling) return;
    this.#isTelling = true;
    try {
      for (let next = this.#pending.shift(); next; next = this.#pending.shift()) {
        for (const listener of [...this.#listeners]) this.#call(listener, next);
      }
    } finally {
      this.#isTelling = false;
    }
  }

  #call(listener: TransitionListener, transition: CircuitTransition): void {
    try {
      listener(transition);
    } catch (error) {
      this.#onError(error);
    }
  }
}
