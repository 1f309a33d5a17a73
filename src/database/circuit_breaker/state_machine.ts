import { Emitter } from "../../emitter.ts";
import type { ResolvedCircuitOptions } from "./options.ts";
import type {
  CircuitOpening,
  CircuitState,
  CircuitTransition,
  OpenReason,
  TransitionReason,
} from "./state.ts";

/**
 * The state of a circuit, how it came to it, and how long it stays open: a
 * random part (full jitter) of a limit that doubles with every opening until the
 * circuit closes. Moments are those of the monotonic clock.
 *
 * Source of full jitter: AWS Architecture Blog, "Exponential Backoff And Jitter" (2015).
 */
export class CircuitStateMachine {
  readonly #options: ResolvedCircuitOptions;
  readonly #transitions: Emitter<CircuitTransition>;
  #state: CircuitState = "closed";
  #openings = 0;
  #openUntil = 0;
  #lastOpening: CircuitOpening | undefined;
  #transitionCount = 0;

  constructor(options: ResolvedCircuitOptions) {
    this.#options = options;
    this.#transitions = new Emitter(options.onListenerError);
  }

  get state(): CircuitState {
    return this.#state;
  }

  /** When an open circuit becomes half-open; Infinity while forced. */
  get openUntil(): number {
    return this.#openUntil;
  }

  /** Also the number of the period: the time between two transitions. */
  get transitionCount(): number {
    return this.#transitionCount;
  }

  onTransition(listener: (transition: CircuitTransition) => void): () => void {
    return this.#transitions.subscribe(listener);
  }

  open(reason: OpenReason, cause: string, at: number, minOpenMs: number): void {
    const { initialOpenMs, maxOpenMs, random } = this.#options;
    const limitMs = Math.min(maxOpenMs, initialOpenMs * 2 ** this.#openings++);
    this.#openUntil = reason === "forced" ? Infinity : at + Math.max(minOpenMs, random() * limitMs);
    this.#lastOpening = Object.freeze({ reason, cause, at: this.#dateOf(at) });
    this.#enter("open", reason, at, cause);
  }

  /** Becomes half-open, as of when the open time was over, if it is over. */
  passTime(now: number): void {
    if (this.#state !== "open" || now < this.#openUntil) return;
    this.#enter("half-open", "openTimeOver", this.#openUntil);
  }

  close(reason: "probesSucceeded" | "reset", at: number): void {
    this.#openings = 0;
    this.#enter("closed", reason, at);
  }

  snapshot(now: number) {
    const isTimed = this.#state === "open" && this.#openUntil !== Infinity;
    return {
      state: this.#state,
      lastOpening: this.#lastOpening,
      nextProbeInMs: isTimed ? this.#openUntil - now : undefined,
      nextProbeAt: isTimed ? this.#dateOf(this.#openUntil) : undefined,
      transitionCount: this.#transitionCount,
    };
  }

  #dateOf(at: number): Date {
    const { clock, epochNow } = this.#options;
    return new Date(epochNow() + at - clock.now());
  }

  #enter(to: CircuitState, reason: TransitionReason, at: number, cause?: string): void {
    const from = this.#state;
    this.#state = to;
    this.#transitionCount++;
    this.#transitions.emit(Object.freeze({ from, to, reason, cause, at: this.#dateOf(at) }));
  }
}
