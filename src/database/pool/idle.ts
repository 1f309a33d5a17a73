import { abortable, type Clock, Deadline, MAX_TIMER_MS, type TimerHandle } from "../../time.ts";

/** What the stack has to know of an idle resource. */
interface Idle {
  readonly resource: { readonly closed: boolean };
  /** When its lifetime ends, on the clock. */
  readonly expiresAt: number;
  idleSince: number;
}

/** Why an idle resource must go. */
type ExpiryReason = "error" | "idleTime" | "lifetime";

/**
 * Idle resources, the most recently used on top, so that the ones that are not needed grow old at
 * the bottom. One timer, for the next expiry, runs while something is idle; it may find nothing to
 * do, which is cheaper than moving it with every use.
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

  put(entry: E, now: number): void {
    entry.idleSince = now;
    this.#entries.push(entry);
    this.#wakeFor(entry);
  }

  /**
   * Takes the most recently used entry that has not expired.
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

  #expiryReason(entry: E, now: number): ExpiryReason | undefined {
    if (entry.resource.closed) return "error";
    if (now >= entry.expiresAt) return "lifetime";
    return now - entry.idleSince >= this.#maxIdleTimeMs ? "idleTime" : undefined;
  }

  /** Makes sure that the timer rings when the entry expires, or earlier. */
  #wakeFor({ expiresAt, idleSince }: E): void {
    const at = Math.min(expiresAt, idleSince + this.#maxIdleTimeMs);
    if (at >= this.#timerAt) return;
    this.#clock.clearTimeout(this.#timer);
    this.#timerAt = at;
    const delayMs = Math.min(Math.max(0, at - this.#clock.now()), MAX_TIMER_MS);
    this.#timer = this.#clock.setTimeout(() => this.#sweep(), delayMs);
  }

  #sweep(): void {
    this.#timerAt = Infinity;
    const now = this.#clock.now();
    for (const entry of [...this.#entries]) {
      const reason = this.#expiryReason(entry, now);
      if (reason === undefined) this.#wakeFor(entry);
      // Telling of one can have taken others out.
      else if (this.remove(entry)) this.#onExpired(entry, reason);
    }
  }
}

/** How idle resources are checked; see `PoolOptions` for each. */
interface CheckOptions<R> {
  readonly check?: ((resource: R, signal: AbortSignal) => Promise<void>) | undefined;
  readonly checkTimeoutMs: number;
  readonly clock: Clock;
}

/** Whether a check succeeds in time. Never rejects, and does not rely on the check to give up. */
export async function passesCheck<R>(
  resource: R,
  { check, checkTimeoutMs, clock }: CheckOptions<R>,
  signal: AbortSignal,
): Promise<boolean> {
  using deadline = new Deadline({ timeoutMs: checkTimeoutMs, signal, clock });
  try {
    await abortable((async () => await check?.(resource, deadline.signal))(), deadline.signal);
    return true;
  } catch {
    return false;
  }
}
