import type { OpeningPause } from "./opening_pause.ts";

/**
 * Says whether more should be idle. Nobody waits for these openings, so they must not hammer a
 * database that is dead, or that rejects them: none before the first success, and none in a pause.
 */
export class MinIdle {
  readonly #minIdle: number;
  readonly #pause: OpeningPause;
  #hasStarted = false;
  #isStopped = false;

  /** @param pause Of its own, as others pause for other failures. */
  constructor(minIdle: number, pause: OpeningPause) {
    this.#minIdle = minIdle;
    this.#pause = pause;
  }

  /** @param idle What is idle, or will be without a release. */
  wantsMoreThan(idle: number): boolean {
    const mayOpen = this.#hasStarted && !this.#isStopped && !this.#pause.isActive;
    return mayOpen && idle < this.#minIdle;
  }

  /** Something failed: nothing more for a while. */
  pause(error: unknown): void {
    if (this.#hasStarted && !this.#isStopped && this.#minIdle > 0) this.#pause.begin(error);
  }

  /** Something worked, which ends a pause, but not a stop: it can have begun before that. */
  succeeded(): void {
    if (!this.#isStopped) this.resume();
  }

  /** Things should be tried now. */
  resume(): void {
    this.#hasStarted = true;
    this.#isStopped = false;
    this.#pause.end();
  }

  /** Pauses until {@linkcode resume}. */
  stop(): void {
    this.#isStopped = true;
    this.#pause.end();
  }
}
