/** Settings of a {@linkcode RecordLimit}. */
export interface RecordLimitOptions {
  /**
   * Shortest time between two records of the same kind, in milliseconds.
   *
   * @default 10_000
   */
  readonly intervalMs?: number | undefined;
  /** Monotonic milliseconds. */
  readonly now?: (() => number) | undefined;
}

/** How a record is to be logged. */
export interface RecordWeight<Level extends string> {
  readonly level: Level | "debug";
  /** For the record: how many of its kind were one too many, since the last that was not. */
  readonly repeats: { readonly suppressed?: number };
}

/**
 * Gives one log record of each kind its level, and then one in an interval; the others are for
 * debugging only. So an outage under load does not fill the log. Kinds must come from a bounded set.
 */
export class RecordLimit {
  readonly #intervalMs: number;
  readonly #now: () => number;
  readonly #kinds = new Map<string, { passedAt: number; suppressed: number }>();

  constructor({ intervalMs = 10_000, now = () => performance.now() }: RecordLimitOptions = {}) {
    this.#intervalMs = intervalMs;
    this.#now = now;
  }

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
