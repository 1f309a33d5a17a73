import type { Clock, TimerHandle } from "../../../src/time.ts";

interface Timer {
  readonly at: number;
  readonly callback: () => void;
}

/** Time that passes only when a test says so. */
export class FakeClock implements Clock {
  readonly #timers = new Map<number, Timer>();
  #now = 1000;
  #lastHandle = 0;

  /** Timers that have neither fired nor been cleared. */
  get pending(): number {
    return this.#timers.size;
  }

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, delayMs: number): TimerHandle {
    const handle = ++this.#lastHandle;
    this.#timers.set(handle, { at: this.#now + delayMs, callback });
    return handle as unknown as TimerHandle;
  }

  clearTimeout(handle: TimerHandle | undefined): void {
    this.#timers.delete(handle as unknown as number);
  }

  /** Lets time pass and fires what is due, in order. */
  advance(byMs: number): void {
    const end = this.#now + byMs;
    while (true) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end)
        .sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      const [handle, { at, callback }] = due;
      this.#timers.delete(handle);
      this.#now = Math.max(this.#now, at);
      callback();
    }
    this.#now = end;
  }
}

/** Lets every promise that can settle without time or I/O do so. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await null;
}
