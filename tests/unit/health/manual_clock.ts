import type { TimerHandle } from "../../../src/time.ts";
import type { WallClock } from "../../../src/health/clock.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** A clock that stands still until it is moved. It begins at the time of the specification's example. */
export class ManualClock implements WallClock {
  readonly #timers = new Map<TimerHandle, Timer>();
  #now = Date.parse("2025-01-10T10:30:00Z");

  now(): number {
    return this.#now;
  }

  date(): Date {
    return new Date(this.#now);
  }

  /** How many timers wait. */
  get timers(): number {
    return this.#timers.size;
  }

  setTimeout(callback: () => void, delayMs: number): TimerHandle {
    const handle = {} as TimerHandle;
    this.#timers.set(handle, { at: this.#now + delayMs, callback });
    return handle;
  }

  clearTimeout(handle: TimerHandle | undefined): void {
    if (handle !== undefined) this.#timers.delete(handle);
  }

  /** Moves on, rings what is due in its order, and lets each alarm's consequences happen. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    await settle();
    while (true) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end);
      const [next] = due.sort(([, a], [, b]) => a.at - b.at);
      if (next === undefined) break;
      const [handle, { at, callback }] = next;
      this.#timers.delete(handle);
      this.#now = Math.max(this.#now, at);
      callback();
      await settle();
    }
    this.#now = end;
  }
}

/** Lets everything happen that waits for nothing but its turn. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setTimeout(resolve, 0));
}
