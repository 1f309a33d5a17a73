import { BackgroundTask } from "./background_task.ts";
import type { CircuitBreaker, CircuitPermit } from "../circuit_breaker/mod.ts";
import type { Clock } from "../clock.ts";
import { sleep } from "../deadline.ts";
import { classify, type DatabaseError } from "../errors.ts";

/** Settings of a {@linkcode Recovery}. */
export interface RecoveryOptions {
  /** Says when the next look is due. Nobody else may take the permits of its half-open state. */
  readonly circuit: CircuitBreaker;
  /** Whether an attempt has made the database ready; until then it is looked for while closed too. */
  readonly isReady: () => boolean;
  /** Looks for the database once, and makes it ready for use; throws when it is not there. */
  readonly attempt: (signal: AbortSignal) => Promise<void>;
  /** Called after each failure, before the circuit opens for longer. */
  readonly onFailure: (error: DatabaseError) => void;
  /** How long the circuit stays open at least after this failure. */
  readonly minOpenMs: (error: DatabaseError) => number;
  readonly clock: Clock;
}

/**
 * Looks for the database at the start and while the circuit is open, without traffic and one
 * attempt at a time. The first look is at once; later ones are the probes of the half-open
 * circuit, so the circuit's growing, jittered open time is the only backoff there is.
 */
export class Recovery {
  readonly #options: RecoveryOptions;
  readonly #task: BackgroundTask;

  constructor(options: RecoveryOptions) {
    this.#options = options;
    this.#task = new BackgroundTask({
      run: (signal) => this.#search(signal),
      isNeeded: () => this.#isWanted,
    });
  }

  /** Begins to look for the database, unless that is under way. */
  start(): void {
    this.#task.start();
  }

  /** Ends the search: an operator has closed the circuit. */
  stop(): void {
    this.#task.stop();
  }

  /** Ends the search for good, and waits for its end. */
  close(): Promise<void> {
    return this.#task.close();
  }

  /**
   * Not while forced open: then the next news is the operator's. Closed without being ready it is
   * after a reset: the permit of the look that ran then is void, and so was its failure.
   */
  get #isWanted(): boolean {
    const { circuit, isReady } = this.#options;
    const { state, nextProbeInMs } = circuit.snapshot();
    if (state === "closed") return !isReady();
    return state === "half-open" || nextProbeInMs !== undefined;
  }

  async #search(signal: AbortSignal): Promise<void> {
    const { circuit, clock } = this.#options;
    do {
      const { nextProbeInMs = 0 } = circuit.snapshot();
      if (nextProbeInMs > 0) await sleep(Math.ceil(nextProbeInMs), signal, clock);
      using permit = circuit.tryAcquire();
      if (permit !== undefined) await this.#look(permit, signal);
      // Somebody else probes. A round without a wait would keep that from ever ending.
      else if (this.#isWanted) await sleep(circuit.rejection().retryAfterMs, signal, clock);
    } while (this.#isWanted && !signal.aborted);
  }

  async #look(permit: CircuitPermit, signal: AbortSignal): Promise<void> {
    const { attempt, onFailure, minOpenMs } = this.#options;
    try {
      await attempt(signal);
      permit.success();
    } catch (error) {
      if (signal.aborted) return;
      const failure = classify(error);
      onFailure(failure);
      permit.trip(failure, { minOpenMs: minOpenMs(failure) });
    }
  }
}
