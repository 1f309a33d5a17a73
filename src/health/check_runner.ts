import { type DependencyHealth, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { abortable, AnySignal } from "../time.ts";
import { CheckTimer, type DependencyChecker, type Finding } from "./checker.ts";
import type { WallClock } from "./clock.ts";

/**
 * Delay between a change of the dependency and the check that follows, in milliseconds. Changes come
 * in bursts (a server restart ends many connections), and a checker that changes its own dependency
 * must not cause a busy loop.
 */
const SETTLE_MS = 50;

/** Observes every check, for metrics and traces. */
export interface HealthObserver {
  /**
   * Calls `run`, which never rejects, and returns its result. The check happens inside the call, so
   * that an asynchronous context can be set. Must not throw.
   */
  readonly check: (
    dependency: string,
    run: () => Promise<DependencyHealth>,
  ) => Promise<DependencyHealth>;
}

/** What a {@linkcode CheckRunner} reports to, and its clock. */
export interface CheckRunnerOptions {
  readonly clock: WallClock;
  readonly observer?: HealthObserver | undefined;
  /** Called after each change of `latest`. */
  readonly onResult: () => void;
  /** Called with an error that the checker threw. */
  readonly onError: (dependency: string, error: unknown) => void;
}

/** Runs one checker: one check at a time, each within the time limit. Its `run` never rejects. */
export class CheckRunner {
  readonly checker: DependencyChecker;
  readonly #options: CheckRunnerOptions;
  readonly #closing = new AbortController();
  #unfollow: (() => void) | undefined;
  #recheckTimer: ReturnType<WallClock["setTimeout"]> | undefined;
  #running: Promise<DependencyHealth> | undefined;
  #latest: DependencyHealth | undefined;

  constructor(checker: DependencyChecker, options: CheckRunnerOptions) {
    this.checker = checker;
    this.#options = options;
  }

  /** The last result; undefined before the first check has completed. */
  get latest(): DependencyHealth | undefined {
    return this.#latest;
  }

  /** Starts a check, or joins the running one. Never rejects. */
  run(): Promise<DependencyHealth> {
    this.#running ??= this.#observed().finally(() => this.#running = undefined);
    return this.#running;
  }

  /** Starts to run a check shortly after each change that the checker notices. */
  follow(): void {
    this.#unfollow ??= this.checker.onChange?.(() => this.#recheckSoon());
  }

  /** Aborts the running check and prevents further ones. */
  async close(): Promise<void> {
    this.#unfollow?.();
    this.#options.clock.clearTimeout(this.#recheckTimer);
    this.#closing.abort();
    await this.#running;
  }

  #recheckSoon(): void {
    if (this.#closing.signal.aborted) return;
    this.#recheckTimer ??= this.#options.clock.setTimeout(() => {
      this.#recheckTimer = undefined;
      // Not joined: a check that began before the change may have missed it.
      if (this.#running === undefined) void this.run();
      else void this.#running.then(() => this.#closing.signal.aborted ? undefined : this.run());
    }, SETTLE_MS);
  }

  #observed(): Promise<DependencyHealth> {
    const { observer } = this.#options;
    const check = () => this.#check();
    return observer === undefined ? check() : observer.check(this.checker.name, check);
  }

  async #check(): Promise<DependencyHealth> {
    const { clock, onError, onResult } = this.#options;
    const { checker } = this;
    const timer = new CheckTimer(clock);
    const overrun = new AbortController();
    const limit = clock.setTimeout(() => overrun.abort(), checker.timeoutMs);
    using ended = new AnySignal([overrun.signal, this.#closing.signal]);
    const { signal } = ended;
    let health: DependencyHealth;
    try {
      const check = async () => await checker.check(signal);
      health = await abortable(check(), signal);
    } catch (error) {
      if (this.#closing.signal.aborted) return timer.result(checker, CANCELLED);
      if (!overrun.signal.aborted) onError(checker.name, error);
      health = timer.result(checker, overrun.signal.aborted ? overran(checker) : FAILED);
    } finally {
      clock.clearTimeout(limit);
    }
    this.#latest = health;
    onResult();
    return health;
  }
}

const FAILED: Finding = {
  status: ServiceStatus.UNHEALTHY,
  message: "Health check failed",
  error: "The health check itself failed; see the log for the cause.",
  errorCode: "CHECK_FAILED",
};

const CANCELLED: Finding = {
  status: ServiceStatus.UNHEALTHY,
  message: "Health check was canceled",
  error: "The service is shutting down.",
  errorCode: "CHECK_CANCELLED",
};

function overran(checker: DependencyChecker): Finding {
  return {
    status: ServiceStatus.UNHEALTHY,
    message: "Health check timed out",
    error: `The health check did not complete within ${checker.timeoutMs} ms.`,
    errorCode: "CHECK_TIMEOUT",
  };
}
