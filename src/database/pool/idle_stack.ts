import type { Clock, TimerHandle } from "../clock.ts";
import { MAX_TIMER_MS } from "../deadline.ts";

/** What the stack has to know of an idle resource. */
interface Idle {
  readonly resource: { readonly closed: boolean };
  readonly expiresAt: number;
  idleSince: number;
}

/** Why an idle resource must go. */
type ExpiryReason = "error" | "idleTime" | "lifetime";

/**
 * Idle resources, the most recently used on top, so that the ones that are not
 * needed grow old at the bottom. One timer, for the next expiry, runs while
 * something is idle; it may find nothing to do, which is cheaper than moving it
 * with every use.
 */
export class IdleStack<E extends Idle> {
  readonly #clock: Clock;
  readonly #maxIdleTimeMs: number;
  readonly #onExpired: (entry: E, reason: ExpiryReason) => void;
  #entries: E[] = [];
  #timer: TimerHandle | undefined;
  #timerAt = Infinity;

  /** @param onExpired Gets entries that have already left the stack. */
  constructor(
    clock: Clock,
    maxIdleTimeMs: number,
    onExpired: (entry: E, reason: ExpiryReason) => void,
  ) {
    this.#clock = clock;
    this.#maxIdleTimeMs = maxIdleTimeMs;
    this.#onExpired = onExpired;
  }

  get size(): number {
    return this.#entries.length;
  }

  put(entry: E, now = this.#clock.now()): void {
    entry.idleSince = now;
    this.#entries.push(entry);
    this.#wakeAt(this.#deadlineOf(entry));
  }

  /**
   * Takes the most recently used entry that is still good.
   *
   * @param freshMs Leaves it when it was not used within this time.
   */
  take(freshMs = Infinity): E | undefined {
    while (true) {
      const entry = this.#entries.at(-1);
      if (entry === undefined) return undefined;
      const now = this.#clock.now();
      const reason = this.#expiryReason(entry, now);
      if (reason === undefined && now - entry.idleSince >= freshMs) return undefined;
      this.#entries.pop();
      if (reason === undefined) return entry;
      this.#onExpired(entry, reason);
    }
  }

  /** Takes one entry out; false when it is not here. */
  remove(entry: E): boolean {
    const index = this.#entries.indexOf(entry);
    if (index !== -1) this.#entries.splice(index, 1);
    return index !== -1;
  }

  /** Takes everything out. */
  clear(): E[] {
    this.#clock.clearTimeout(this.#timer);
    this.#timerAt = Infinity;
    const entries = this.#entries;
    this.#entries = [];
    return entries;
  }

  #sweep(): void {
    this.#timerAt = Infinity;
    const now = this.#clock.now();
    for (const entry of [...this.#entries]) {
      const reason = this.#expiryReason(entry, now);
      if (reason === undefined) this.#wakeAt(this.#deadlineOf(entry));
      else if (this.remove(entry)) this.#onExpired(entry, reason);
    }
  }

  #expiryReason(entry: E, now: number): ExpiryReason | undefined {
    if (entry.resource.closed) return "error";
    if (now >= entry.expiresAt) return "lifetime";
    return now - entry.idleSince >= this.#maxIdleTimeMs ? "idleTime" : undefined;
  }

  #deadlineOf(entry: E): number {
    return Math.min(entry.expiresAt, entry.idleSince + this.#maxIdleTimeMs);
  }

  #wakeAt(at: number): void {
    if (at >= this.#timerAt) return;
    this.#clock.clearTimeout(this.#timer);
    this.#timerAt = at;
    const delayMs = Math.min(Math.max(0, at - this.#clock.now()), MAX_TIMER_MS);
    this.#timer = this.#clock.setTimeout(() => this.#sweep(), delayMs);
  }
}
