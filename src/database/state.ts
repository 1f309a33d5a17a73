import type { DatabaseError } from "./errors.ts";
import type { Logger } from "./logger.ts";

/**
 * Where a manager is in its life:
 * `connecting` until the first attempt has ended, then `connected` and
 * `disconnected` in turns, and `closing` and `closed` at the end.
 */
export type DatabaseState = "connecting" | "connected" | "disconnected" | "closing" | "closed";

/** One step from a state to another. */
export interface StateChange {
  readonly state: DatabaseState;
  readonly previous: DatabaseState;
  /** Why it is disconnected. */
  readonly error: DatabaseError | undefined;
}

export type StateListener = (change: StateChange) => void;

/**
 * The state, when and why it came to it, and who wants to know. Logs each
 * change once, however many attempts fail.
 */
export class StateHolder {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #listeners = new Set<StateListener>();
  #state: DatabaseState = "connecting";
  #error: DatabaseError | undefined;
  #connectedAt: Date | undefined;
  #lostAt: number | undefined;

  /** @param now Monotonic milliseconds, for the length of an outage. */
  constructor(logger: Logger, now: () => number) {
    this.#logger = logger;
    this.#now = now;
  }

  get state(): DatabaseState {
    return this.#state;
  }

  /** The error of the outage; undefined while connected. */
  get error(): DatabaseError | undefined {
    return this.#error;
  }

  /** When the present connection to the database began. */
  get connectedAt(): Date | undefined {
    return this.#connectedAt;
  }

  get isOver(): boolean {
    return this.#state === "closing" || this.#state === "closed";
  }

  /** Tells the listener of every change from now on. Call the result to stop that. */
  subscribe(listener: StateListener): () => void {
    // Wrapped, so that one function can be subscribed twice.
    const own: StateListener = (change) => listener(change);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** The database answers. */
  connected(): void {
    if (this.isOver || this.#state === "connected") return;
    this.#error = undefined;
    this.#connectedAt = new Date();
    if (this.#lostAt === undefined) {
      this.#logger.info({ event: "database.connected" }, "Connected to the database");
    } else {
      const downtimeMs = Math.round(this.#now() - this.#lostAt);
      this.#logger.info({ event: "database.recovered", downtimeMs }, "The database is back");
    }
    this.#lostAt = undefined;
    this.#change("connected");
  }

  /** The database cannot be used. */
  failed(error: DatabaseError): void {
    if (this.isOver) return;
    const wasConnected = this.#state === "connected";
    const isNews = error.code !== this.#error?.code;
    this.#error = error;
    const fields = { code: error.code, err: error };
    if (wasConnected) {
      this.#lostAt = this.#now();
      this.#connectedAt = undefined;
      this.#logger.error({ event: "database.lost", ...fields }, "Lost the database");
    } else if (isNews) {
      this.#logger.warn(
        { event: "database.connect_failed", ...fields },
        "The database cannot be used yet; trying again",
      );
    }
    if (this.#state !== "disconnected") this.#change("disconnected");
  }

  closing(): void {
    if (!this.isOver) this.#change("closing");
  }

  closed(): void {
    if (this.#state === "closed") return;
    this.#logger.info({ event: "database.closed" }, "Closed the database connections");
    this.#connectedAt = undefined;
    this.#change("closed");
  }

  #change(state: DatabaseState): void {
    const change = { state, previous: this.#state, error: this.#error };
    this.#state = state;
    for (const listener of [...this.#listeners]) {
      try {
        listener(change);
      } catch (error) {
        // A listener's fault must not stop the others, or the recovery.
        this.#logger.error({ event: "database.listener_failed", err: error }, "A listener failed");
      }
    }
  }
}
