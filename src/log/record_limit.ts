/** The rate of a {@linkcode RecordLimit}. */
export interface RecordLimitOptions {
  /**
   * Minimum time between two records of the same kind, in milliseconds.
   *
   * @default 10_000
   */
  readonly intervalMs?: number | undefined;
  /** Monotonic milliseconds. Default: `performance.now`. */
  readonly now?: (() => number) | undefined;
}

/** How to log a record. */
export interface RecordWeight<Level extends string> {
  /** The level of the record: its own, or `debug` if it is suppressed. */
  readonly level: Level | "debug";
  /** A field of the record: the number suppressed since the last one of its kind. */
  readonly repeats: { readonly suppressed?: number };
}

/**
 * Limits log records to one of each kind per interval, so that an outage under load does not flood the
 * log; further ones get level `debug`. Kinds must come from a bounded set, because each is kept.
 */
export class RecordLimit {
  readonly #intervalMs: number;
  readonly #now: () => number;
  readonly #kinds = new Map<string, { passedAt: number; suppressed: number }>();

  /** Default interval: 10 seconds. */
  constructor({ intervalMs = 10_000, now = () => performance.now() }: RecordLimitOptions = {}) {
    this.#intervalMs = intervalMs;
    this.#now = now;
  }

  /** Counts a record and decides its level. */
  weigh<Level extends string>(kind: string, level: Level): RecordWeight<Level> {
    const now = this.#now();
    const last = this.#kinds.get(kind);
    if (last !== undefined && now - last.passedAt < this.#intervalMs) {
      last.suppressed++;
      return { level: "debug", repeats: {} };
    }
    this.#kinds.set(kind, { passedAt: now, suppressed: 0 });
    return { level, repeats: last?.suppressed ? { suppressed: last.suppressed } : {} };
  }
}
