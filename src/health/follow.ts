import { type Clock, systemClock } from "../database/mod.ts";

/** Settings of {@linkcode follow}. */
export interface FollowOptions<T> {
  /** Reads the value as it is now. */
  readonly read: () => T;
  readonly same: (a: T, b: T) => boolean;
  /** Calls the listener when the value may have changed; returns the function that ends this. */
  readonly subscribe: (listener: () => void) => () => void;
  /** Ends the sequence, after one last value if there is news. */
  readonly signal: AbortSignal;
  /** Send the value again when nothing was sent for this long, in milliseconds. Default: never. */
  readonly heartbeatMs?: number;
  readonly clock?: Clock;
}

/** A value and why it was sent. */
export interface Followed<T> {
  readonly reason: "initial" | "change" | "heartbeat";
  readonly value: T;
}

/**
 * Yields a value at once, then whenever it has changed, and as a heartbeat. A slow consumer misses
 * what came and went while it was busy, but never the latest value.
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
