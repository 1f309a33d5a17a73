import type { CircuitPermit } from "../circuit_breaker/mod.ts";
import type { Connection } from "../connection/connection.ts";
import { abortReason, classify } from "../errors.ts";
import { BackgroundTask } from "./background_task.ts";
import type { Circuit } from "./circuit.ts";
import type { ConnectionPool } from "./connection_pool.ts";
import type { PoolContext } from "./context.ts";
import type { Pinger } from "./ping.ts";
import { probePooler } from "./pooler_probe.ts";
import type { ServerState } from "./server_state.ts";
import { abortable, MAX_TIMER_MS } from "../../time.ts";

/** Looks at a server that has been found, on a connection of the pool. Must not reject. */
export type Inspect = (connection: Connection, signal: AbortSignal) => Promise<void>;

/** The parts of a managed pool that a {@linkcode Recovery} brings back into use. */
export interface RecoveryParts {
  /** Says when the next attempt is due, and is closed or opened by its result. */
  readonly circuit: Circuit;
  /** Is told the role that was found, and that the server is ready. */
  readonly server: ServerState;
  /** Finds the server. */
  readonly pinger: Pick<Pinger, "findServer">;
  /** Is filled before the circuit closes. */
  readonly connections: Pick<ConnectionPool, "lend" | "warmUp">;
  /** Default: the server is not looked at. */
  readonly inspect?: Inspect | undefined;
}

/** How long an inspection waits for a connection before it is left out. */
const INSPECTION_WAIT_MS = 250;

/**
 * Connects at the start, and again while the circuit is open: in the background, without traffic,
 * one attempt at a time. The first attempt is made at once. Later ones are the probes of the
 * half-open circuit, so its growing, jittered open time is the only backoff.
 */
export class Recovery {
  readonly #context: PoolContext;
  readonly #parts: RecoveryParts;
  readonly #task = new BackgroundTask(
    (signal) => this.#recover(signal),
    () => this.#isNeeded,
  );
  /** Ends the wait for the next attempt. */
  #wake = () => {};

  /** Does nothing until {@linkcode Recovery.start}. */
  constructor(context: PoolContext, parts: RecoveryParts) {
    this.#context = context;
    this.#parts = parts;
  }

  /** Starts the recovery, unless it is in progress. */
  start(): void {
    this.#task.start();
  }

  /** Starts the recovery; when it waits for its next attempt, that is made now. */
  startNow(): void {
    this.#wake();
    this.#task.start();
  }

  /** Aborts the recovery: an operator has opened or closed the circuit. */
  stop(): void {
    this.#task.stop();
  }

  /** Aborts the recovery for good, and waits for its end. */
  close(): Promise<void> {
    return this.#task.close();
  }

  /**
   * Not while an operator keeps the circuit open: only the operator ends that. Needed on a closed
   * circuit too until the server is ready: at the start, and after a reset, which makes the permit
   * of an attempt in progress void, and its failure with it.
   */
  get #isNeeded(): boolean {
    const { circuit: { breaker }, server } = this.#parts;
    const { state, nextProbeInMs } = breaker.snapshot();
    if (state === "closed") return !server.isReady;
    return state === "half-open" || nextProbeInMs !== undefined;
  }

  /** The whole recovery, from a lost server to a closed circuit. */
  async #recover(signal: AbortSignal): Promise<void> {
    const { circuit, server, pinger, connections } = this.#parts;
    while (this.#isNeeded && !signal.aborted) {
      // Lost: wait until the circuit becomes half-open, and take its permit.
      using permit = await this.#nextPermit(signal);
      if (permit === undefined) continue;
      try {
        // Probe: find a server with the right role, and check the pooler in front of it.
        server.sawRole(await pinger.findServer(signal));
        await probePooler(this.#context, signal);
        // Make the schema ready: migrations, the first time.
        await server.ensureSchema(signal);
        await this.#inspect(signal);
        // Warm up, so that the first caller finds a connection.
        await connections.warmUp(signal);
        // Closed: callers get through.
        server.ready();
        permit.success();
      } catch (error) {
        if (signal.aborted) return;
        // Open again, for longer.
        circuit.recoveryFailed(permit, classify(error));
      }
    }
  }

  /** Waits until a probe is due; at once while the circuit is closed. */
  async #nextPermit(signal: AbortSignal): Promise<CircuitPermit | undefined> {
    const { breaker } = this.#parts.circuit;
    const { nextProbeInMs = 0 } = breaker.snapshot();
    if (nextProbeInMs > 0) await this.#wait(Math.ceil(nextProbeInMs), signal);
    const permit = breaker.tryAcquire();
    // Somebody else has the permit. Without a wait the recovery would spin until it is back.
    if (permit === undefined) await this.#wait(breaker.rejection().retryAfterMs, signal);
    return permit;
  }

  async #wait(delayMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#context;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = clock.setTimeout(resolve, Math.min(delayMs, MAX_TIMER_MS));
    this.#wake = resolve;
    try {
      await abortable(promise, signal, abortReason);
    } finally {
      clock.clearTimeout(timer);
    }
  }

  /** Without a free connection it is left out: it must not delay the recovery. */
  async #inspect(signal: AbortSignal): Promise<void> {
    const { connections, inspect } = this.#parts;
    if (inspect === undefined) return;
    const wait = { signal, timeoutMs: INSPECTION_WAIT_MS };
    try {
      await connections.lend((connection) => inspect(connection, signal), wait);
    } catch (error) {
      if (signal.aborted) throw error;
    }
  }
}
