import { type Clock, MAX_TIMER_MS, type TimerHandle } from "../../time.ts";

/** What an {@linkcode OpeningPolicy} takes from the pool's options; see `PoolOptions` for each. */
interface OpeningOptions {
  readonly minIdle: number;
  readonly retryDelayMs: (error: unknown, failures: number) => number;
  readonly isRefusal: (error: unknown) => boolean;
  readonly onOpenRefused?: ((error: unknown) => void) | undefined;
  readonly clock: Clock;
}

/**
 * When a pool opens, beyond one opening for each caller that waits:
 *
 * - For `minIdle`, more. No caller waits for these openings, so they must not hammer another side that
 *   is down: none before the first success, none while the pool is told to stop, and after a failure
 *   none until a pause is over.
 * - After a refusal, less. It speaks against new resources and not against those that are open: too
 *   many connections, a rejected login. While some of these are in use, callers are better off with
 *   what is released, and the other side without an attempt for each caller.
 */
export class OpeningPolicy {
  readonly #options: OpeningOptions;
  readonly #idlePause: Pause;
  /** Of its own, as it begins and counts for other failures. */
  readonly #refusalPause: Pause;
  /** Whether resources are opened for `minIdle`: not before the first success, nor after `stop`. */
  #minIdle: "untried" | "kept" | "stopped" = "untried";

  /** @param onPauseOver Called when something may be opened again. */
  constructor(options: OpeningOptions, onPauseOver: () => void) {
    this.#options = options;
    this.#idlePause = new Pause(options, onPauseOver);
    this.#refusalPause = new Pause(options, onPauseOver);
  }

  /** Whether nothing is opened, as long as something is in use. */
  get isRefused(): boolean {
    return this.#refusalPause.isActive;
  }

  /** @param idle How many are idle, or will be without a release. */
  wantsMoreThan(idle: number): boolean {
    return idle < this.#options.minIdle && this.#minIdle === "kept" && !this.#idlePause.isActive;
  }

  /** An opening has succeeded, so nothing is refused; the resource can have closed since. */
  opened({ closed }: { readonly closed: boolean }): void {
    this.#refusalPause.end();
    if (closed) this.closedByItself();
    // A stop can be later than the beginning of this opening.
    else if (this.#minIdle !== "stopped") this.resume();
  }

  /** An opening has failed. Returns whether callers wait for what is in use instead. */
  failed(error: unknown, isAnyInUse: boolean): boolean {
    this.#pauseIdle(error);
    if (!isAnyInUse || !this.#options.isRefusal(error)) return false;
    this.#refusalPause.begin(error);
    this.#options.onOpenRefused?.(error);
    return true;
  }

  /** An idle resource closed by itself. Without a pause, a peer that closes each would be asked at once. */
  closedByItself(): void {
    this.#pauseIdle(undefined);
  }

  /** Resources are wanted now: for `minIdle` too, whatever has failed before. */
  resume(): void {
    this.#minIdle = "kept";
    this.#endPauses();
  }

  /** Opens nothing for `minIdle` until {@linkcode resume}. */
  stop(): void {
    this.#minIdle = "stopped";
    this.#endPauses();
  }

  #pauseIdle(error: unknown): void {
    if (this.#minIdle === "kept" && this.#options.minIdle > 0) this.#idlePause.begin(error);
  }

  #endPauses(): void {
    this.#idlePause.end();
    this.#refusalPause.end();
  }
}

/** A time without openings after one that failed. */
class Pause {
  readonly #options: OpeningOptions;
  readonly #onOver: () => void;
  #timer: TimerHandle | undefined;
  #failures = 0;

  constructor(options: OpeningOptions, onOver: () => void) {
    this.#options = options;
    this.#onOver = onOver;
  }

  get isActive(): boolean {
    return this.#timer !== undefined;
  }

  /** In a pause a failure is no news: several openings fail together. */
  begin(error: unknown): void {
    if (this.isActive) return;
    const delayMs = this.#options.retryDelayMs(error, ++this.#failures);
    this.#timer = this.#options.clock.setTimeout(() => {
      this.#timer = undefined;
      this.#onOver();
    }, Math.min(delayMs, MAX_TIMER_MS));
  }

  /** Ends a pause, without telling; the next one is as short as the first. */
  end(): void {
    this.#failures = 0;
    this.#options.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}
