import { classify } from "../errors.ts";
import type { OpeningPause } from "./opening_pause.ts";

/**
 * Openings that failed in a way that speaks against new resources and not against those that are
 * open: too many connections, a rejected login. While somebody uses one of these, callers are better
 * off with what they give back, and the other side without an attempt for each caller.
 */
export class OpeningRefusals {
  readonly #pause: OpeningPause;
  readonly #onRefused: ((error: unknown) => void) | undefined;

  /** @param pause Of its own. */
  constructor(pause: OpeningPause, onRefused: ((error: unknown) => void) | undefined) {
    this.#pause = pause;
    this.#onRefused = onRefused;
  }

  /** Whether nothing should be opened now, as long as something is in use. */
  get isActive(): boolean {
    return this.#pause.isActive;
  }

  /** Takes note of a failure while something is in use; false when it is of another kind. */
  covers(error: unknown): boolean {
    const { isOutage, retryable } = classify(error);
    if (isOutage && retryable) return false;
    this.#pause.begin(error);
    this.#onRefused?.(error);
    return true;
  }

  /** Things are as they were before. */
  end(): void {
    this.#pause.end();
  }
}
