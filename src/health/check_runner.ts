import { type DependencyHealth, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { abortable, AnySignal } from "../time.ts";
import { CheckTimer, type DependencyChecker, type Finding } from "./checker.ts";
import type { WallClock } from "./clock.ts";

/**
 * How long after a change the dependency is checked again, in milliseconds. Changes come in bursts
 * (a server restart ends many connections), and a checker that changes its own dependency must not
 * spin.
 */
const SETTLE_MS = 50;

/** Hears of every check, for metrics and traces. */
export interface HealthObserver {
  /**
   * Makes a check with `run`, which never rejects, and passes on its result. What `run` does is done
   * inside, so an asynchronous context can be set. Must not throw.
   */
  readonly check: (
    dependency: string,
    run: () => Promise<DependencyHealth>,
  ) => Promise<DependencyHealth>;
}

/** Settings of a {@linkcode CheckRunner}. */
export interface CheckRunnerOptions {
  readonly clock: WallClock;
  readonly observer?: HealthObserver | undefined;
  /** Called when `latest` was replaced. */
  readonly onResult: () => void;
  /** Gets what the checker threw. */
  readonly onError: (dependency: string, error: unknown) => void;
}

/** Runs one checker: never twice at once, never longer than its limit, and never failing. */
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

  /** The last result; undefined before the first check has ended. */
  get latest(): DependencyHealth | undefined {
    return this.#latest;
  }

  /** Checks now, or joins the check that is running. Never rejects. */
  run(): Promise<DependencyHealth> {
    this.#running ??= this.#observed().finally(() => this.#running = undefined);
    return this.#running;
  }

  /** From now on, checks soon after each change that the checker notices. */
  follow(): void {
    this.#unfollow ??= this.checker.onChange?.(() => this.#recheckSoon());
  }

  /** Ends the check that is running and all that would follow. */
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
      // A check that began before the change may have missed it, so it is not joined.
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
  error: "The health check itself failed; the log says why.",
  errorCode: "CHECK_FAILED",
};

const CANCELLED: Finding = {
  status: ServiceStatus.UNHEALTHY,
  message: "Health check was cancelled",
  error: "The service is shutting down.",
  errorCode: "CHECK_CANCELLED",
};

function overran(checker: DependencyChecker): Finding {
  return {
    status: ServiceStatus.UNHEALTHY,
    message: "Health check timed out",
    error: `The health check did not end within ${checker.timeoutMs} ms.`,
    errorCode: "CHECK_TIMEOUT",
  };
}
