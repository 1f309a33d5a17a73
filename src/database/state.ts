import { Emitter } from "../emitter.ts";
import type { AccessMode } from "./access_mode.ts";
import type { DatabaseError } from "./errors.ts";
import type { Logger } from "./logger.ts";

/**
 * Connection state of a manager: `connecting` until the first attempt has ended, then alternating
 * between `connected` and `disconnected`, finally `closing` and `closed`.
 *
 * It follows the circuit breaker of the primary: `connected` while that is closed, `disconnected`
 * while it is open or half-open.
 */
export type DatabaseState = "connecting" | "connected" | "disconnected" | "closing" | "closed";

/** The status of the database at one moment. */
export interface DatabaseStatus {
  /** Whether the primary is connected, and whether the manager is closing. */
  readonly state: DatabaseState;
  /** What the database allows, on the primary or a read host. */
  readonly accessMode: AccessMode;
  /** Why it is disconnected. */
  readonly outage: DatabaseError | undefined;
  /** Why writes are blocked although the server accepts them: the schema is dirty. */
  readonly writesBlockedBy?: DatabaseError | undefined;
}

/** A change to another state or access mode. */
export interface StateChange extends DatabaseStatus {
  /** The state before; the same when only the access mode has changed. */
  readonly previous: DatabaseState;
  /** The access mode before; the same when only the state has changed. */
  readonly previousAccessMode: AccessMode;
}

/** Called with every change, synchronously: it must be fast. What it throws is logged. */
export type StateListener = (change: StateChange) => void;

/**
 * Holds the current status, logs its changes and emits them to listeners. A change is logged once,
 * regardless of the number of failed attempts.
 */
export class StateHolder {
  readonly #logger: Logger;
  readonly #now: () => number;
  readonly #changes: Emitter<StateChange>;
  #status: DatabaseStatus = { state: "connecting", accessMode: "UNAVAILABLE", outage: undefined };
  #connectedAt: Date | undefined;
  #lostAt: number | undefined;

  /** @param now Monotonic clock in milliseconds, for the duration of an outage. */
  constructor(logger: Logger, now: () => number) {
    this.#logger = logger;
    this.#now = now;
    this.#changes = new Emitter((err) => {
      logger.error({ event: "database.listener_failed", err }, "A listener failed");
    });
  }

  /** As it was last reported. */
  get status(): DatabaseStatus {
    return this.#status;
  }

  /** When the current connection to the database was established. */
  get connectedAt(): Date | undefined {
    return this.#connectedAt;
  }

  /** Calls the listener for every change from now on. Call the result to stop that. */
  subscribe(listener: StateListener): () => void {
    return this.#changes.subscribe(listener);
  }

  /** Sets the current status; an unchanged status has no effect. */
  update(status: DatabaseStatus): void {
    const previous = this.#status;
    this.#status = status;
    if (status.state !== previous.state) this.#entered(status, previous);
    else if (status.state === "disconnected" && status.outage?.code !== previous.outage?.code) {
      this.#logFailure(status);
    }
    if (loggedMode(status) !== loggedMode(previous)) this.#logAccess(status, previous);
    if (status.accessMode !== previous.accessMode || status.state !== previous.state) {
      const { state, accessMode } = previous;
      this.#changes.emit({ ...status, previous: state, previousAccessMode: accessMode });
    }
  }

  #entered(status: DatabaseStatus, previous: DatabaseStatus): void {
    switch (status.state) {
      case "connected":
        return this.#logConnected(status);
      case "disconnected":
        this.#connectedAt = undefined;
        if (previous.state !== "connected") return this.#logFailure(status);
        this.#lostAt = this.#now();
        return this.#logger.error(
          { event: "database.lost", ...describe(status) },
          `Lost the connection to the database${adviceOn(status.outage)}`,
        );
      case "closed":
        this.#connectedAt = undefined;
        return this.#logger.info({ event: "database.closed" }, "Closed the database connections");
    }
  }

  #logConnected({ accessMode }: DatabaseStatus): void {
    this.#connectedAt = new Date();
    if (this.#lostAt === undefined) {
      this.#logger.info(
        { event: "database.connected", access_mode: accessMode },
        "Connected to the database",
      );
    } else {
      const downtimeMs = Math.round(this.#now() - this.#lostAt);
      this.#logger.info(
        { event: "database.recovered", access_mode: accessMode, downtime_ms: downtimeMs },
        "Reconnected to the database",
      );
    }
    this.#lostAt = undefined;
  }

  #logFailure(status: DatabaseStatus): void {
    this.#logger.warn(
      { event: "database.connect_failed", ...describe(status) },
      `The database is unavailable${adviceOn(status.outage) || "; retrying"}`,
    );
  }

  /** A full outage and its end are logged separately. */
  #logAccess(status: DatabaseStatus, previous: DatabaseStatus): void {
    const { accessMode, outage } = status;
    if (accessMode === "READ_ONLY") {
      const { code } = outage ?? status.writesBlockedBy ?? {};
      this.#logger.warn({ event: "database.read_only", ...(code && { code }) }, readOnly(status));
    } else if (loggedMode(previous) !== "READ_ONLY") {
      return;
    } else if (accessMode === "READ_WRITE") {
      this.#logger.info({ event: "database.read_write" }, "The database accepts writes again");
    } else if (previous.state === "disconnected" && status.state === "disconnected") {
      this.#logger.error({ event: "database.unavailable" }, "Lost the read hosts, too");
    }
  }
}

function readOnly({ outage, writesBlockedBy }: DatabaseStatus): string {
  if (outage !== undefined) {
    return "The primary is unavailable: reads go to a read host, writes fail";
  }
  if (writesBlockedBy === undefined) {
    return "The database is read-only: reads continue, writes fail";
  }
  return `Writes are blocked, reads continue: ${writesBlockedBy.message}`;
}

/** On start, a read host may connect before the primary, which is not logged. */
function loggedMode({ state, accessMode }: DatabaseStatus): AccessMode {
  return state === "connecting" ? "UNAVAILABLE" : accessMode;
}

function describe({ outage }: DatabaseStatus) {
  return { code: outage?.code, err: outage };
}

/** What to do about an outage that needs intervention. */
function adviceOn(outage: DatabaseError | undefined): string {
  if (outage?.code === "STOPPED_BY_OPERATOR") return ": stopped by an operator";
  if (outage === undefined || outage.retryable) return "";
  const settings = outage.code === "AUTHENTICATION_FAILED"
    ? ": check DB_USER and DB_PASSWORD or DB_PASSWORD_FILE"
    : ": check the configuration";
  return `${settings}. Retrying only every DB_AUTH_RETRY_DELAY`;
}
