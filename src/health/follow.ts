import { type Clock, systemClock } from "../database/mod.ts";

/** The value that {@linkcode follow} follows, and when it yields it. */
export interface FollowOptions<T> {
  /** Reads the current value. */
  readonly read: () => T;
  /** Whether two values are equal. */
  readonly same: (a: T, b: T) => boolean;
  /** Calls the listener when the value may have changed; returns a function that removes it. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Ends the sequence, after one last value if it has changed. */
  readonly signal: AbortSignal;
  /** Interval at which an unchanged value is repeated, in milliseconds. Default: never. */
  readonly heartbeatMs?: number;
  readonly clock?: Clock;
}

/** A value and why it was sent. */
export interface Followed<T> {
  readonly reason: "initial" | "change" | "heartbeat";
  readonly value: T;
}

/**
 * Yields a value at once, after each change, and as a heartbeat. A slow consumer may miss
 * intermediate values, but never the latest.
 */
export async function* follow<T>(options: FollowOptions<T>): AsyncGenerator<Followed<T>, void> {
  const { read, same, signal, heartbeatMs, clock = systemClock } = options;
  let bell = Promise.withResolvers<void>();
  const ring = () => bell.resolve();
  const unsubscribe = options.subscribe(ring);
  signal.addEventListener("abort", ring);
  try {
    let value = read();
    yield { reason: "initial", value };
    let sentAt = clock.now();
    while (true) {
      if (!signal.aborted) await rung(bell.promise, sentAt);
      bell = Promise.withResolvers();

      const current = read();
      const changed = !same(value, current);
      value = current;
      if (!changed && signal.aborted) return;
      if (!changed && !isBeatDue(sentAt)) continue;
      yield { reason: changed ? "change" : "heartbeat", value };
      sentAt = clock.now();
    }
  } finally {
    unsubscribe();
    signal.removeEventListener("abort", ring);
  }

  function isBeatDue(sentAt: number): boolean {
    return heartbeatMs !== undefined && clock.now() - sentAt >= heartbeatMs;
  }

  async function rung(promise: Promise<void>, sentAt: number): Promise<void> {
    const timer = heartbeatMs === undefined
      ? undefined
      : clock.setTimeout(ring, Math.max(0, sentAt + heartbeatMs - clock.now()));
    await promise;
    clock.clearTimeout(timer);
  }
}
