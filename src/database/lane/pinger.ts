import type { DatabaseConfig } from "../../config/mod.ts";
import type { Admission } from "./admission.ts";
import { askBesideFull, type AskOptions, askRole, findRole } from "./ask_role.ts";
import { BackgroundTask } from "./background_task.ts";
import type { Clock } from "../clock.ts";
import type { ConnectOptions } from "../connection/connect.ts";
import type { ServerRole } from "../connection/connection.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import { classify } from "../errors.ts";

/** Settings of a {@linkcode Pinger}. */
export interface PingerOptions {
  readonly config: DatabaseConfig;
  readonly admission: Admission;
  readonly pool: ConnectionPool;
  /** Gets what a server has answered; may throw that it is the wrong one. */
  readonly onRole: (role: ServerRole) => void;
  readonly connectOptions: ConnectOptions;
  readonly clock: Clock;
}

/** Settings of one ping. */
export interface PingOptions {
  readonly signal?: AbortSignal | undefined;
  /** For all of it, the wait for a connection included; default: the configured ping timeout. */
  readonly timeoutMs?: number | undefined;
}

/** What a ping found. */
export interface RolePing {
  readonly responseTimeMs: number;
  readonly role: ServerRole;
}

/** Asks the server how it is: for a caller, or in the background when something seems wrong. */
export class Pinger {
  readonly #options: PingerOptions;
  /** One failed call can be that connection's own fate: a ping tells whether it is an outage. */
  readonly #verification = new BackgroundTask({ run: (signal) => this.ping({ signal }) });
  /** A pool that gave nothing back during a ping can be busy, or its server frozen. */
  readonly #stuckCheck = new BackgroundTask({ run: (signal) => this.#pingBeside(signal) });

  constructor(options: PingerOptions) {
    this.#options = options;
  }

  /**
   * Asks a server for its role, now, through the pool. Ends in time also when it is frozen. A
   * server that does not answer, or has not the configured role any more, opens the circuit.
   *
   * @throws {DatabaseError} `PING_TIMEOUT`, `CIRCUIT_OPEN`, `WRONG_SERVER_ROLE`, `ACQUIRE_TIMEOUT`
   * when every connection is in use, connect errors, or `ABORTED`.
   */
  async ping(
    { timeoutMs = this.#options.config.pingTimeoutMs, signal }: PingOptions,
  ): Promise<RolePing> {
    const { admission, pool, onRole, clock } = this.#options;
    using permit = admission.admit();
    const { acquireCount } = pool.stats();
    const startedAt = clock.now();
    try {
      const role = await askRole(this.#asking(timeoutMs, signal));
      onRole(role);
      permit.success();
      return { responseTimeMs: clock.now() - startedAt, role };
    } catch (error) {
      const failure = classify(error);
      admission.trip(permit, failure);
      const isStuck = pool.stats().acquireCount === acquireCount;
      if (failure.code === "ACQUIRE_TIMEOUT" && isStuck) this.#stuckCheck.start();
      throw failure;
    }
  }

  /**
   * Asks for the recovery, which needs no permit: the role, and whether it is the right one, are
   * its affair. Statements that hang can fill the pool for longer than the outage takes, so it
   * asks beside a pool that has no connection to give.
   */
  find(signal: AbortSignal): Promise<ServerRole> {
    const { connectTimeoutMs, pingTimeoutMs } = this.#options.config;
    return findRole(this.#asking(connectTimeoutMs + pingTimeoutMs, signal), this.#options);
  }

  /** Pings in the background, unless that is under way. */
  verify(): void {
    this.#verification.start();
  }

  /** Pings in the background, afresh: what a ping has found until now does not count any more. */
  verifyAnew(): void {
    this.#verification.restart();
  }

  /** Ends the background work, and waits for its end. */
  async close(): Promise<void> {
    await Promise.all([this.#verification.close(), this.#stuckCheck.close()]);
  }

  async #pingBeside(signal: AbortSignal): Promise<void> {
    const { admission, onRole } = this.#options;
    using permit = admission.admit();
    try {
      onRole(await askBesideFull(this.#options, signal));
    } catch (error) {
      admission.trip(permit, classify(error));
    }
  }

  #asking(timeoutMs: number, signal: AbortSignal | undefined): AskOptions {
    const { pool, clock } = this.#options;
    return {
      lend: (use, signal) => pool.lend(use, { signal, timeoutMs: Infinity, evenIfQueueFull: true }),
      stats: () => pool.stats(),
      timeoutMs,
      signal,
      clock,
    };
  }
}
