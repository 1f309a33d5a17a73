import { type DependencyHealth, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { Emitter } from "../emitter.ts";
import { abortable } from "../time.ts";
import { CheckRunner, type HealthObserver } from "./check_runner.ts";
import type { DependencyChecker } from "./checker.ts";
import { systemWallClock, type WallClock } from "./clock.ts";
import { type HealthReport, sameStory, summarize } from "./report.ts";

/** What a {@linkcode HealthRegistry} checks, and how often. */
export interface HealthRegistryOptions {
  /** The registry does not dispose them; their creator does, after the registry. */
  readonly checkers: readonly DependencyChecker[];
  /**
   * Time between background checks, in milliseconds, with a random jitter of ±10 %, so that instances
   * do not check at the same time.
   *
   * @default 30_000
   */
  readonly checkIntervalMs?: number;
  /** Called with an error that a checker threw, for the log. Clients never receive it. Default: none. */
  readonly onCheckError?: (dependency: string, error: unknown) => void;
  /** Observes every check. Default: none. */
  readonly observer?: HealthObserver | undefined;
  /** Default: the system clock. */
  readonly clock?: WallClock;
  /** Random numbers from 0 to 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/** What to check, and how long to wait for it. */
export interface CheckOptions {
  /** The name of one dependency; empty or absent: all. */
  readonly dependency?: string | undefined;
  /** Ends the wait of this caller with the reason of the signal. The check continues for others. */
  readonly signal?: AbortSignal | undefined;
}

/** Whether the service should receive traffic, and why. */
export interface Readiness {
  /** Whether it should. */
  readonly ready: boolean;
  /** A human-readable reason, also if it is ready. */
  readonly reason: string;
}

/** There is no dependency of this name. */
export class UnknownDependencyError extends Error {
  /** Always `UnknownDependencyError`. */
  override readonly name = "UnknownDependencyError";

  /** Lists the known names in its message. */
  constructor(readonly dependency: string, readonly known: readonly string[]) {
    super(
      `Unknown dependency ${JSON.stringify(dependency)}; known dependencies: ` +
        (known.join(", ") || "none"),
    );
  }
}

/**
 * Checks the health of the service: runs the checkers concurrently, at an interval and after a change
 * of a dependency, keeps the last results and notifies subscribers of changes. Concurrent callers
 * share one check of each dependency.
 *
 * ```ts
 * await using registry = new HealthRegistry({ checkers: [] });
 * registry.start();
 * const { status, message } = await registry.check();
 * ```
 */
export class HealthRegistry implements AsyncDisposable {
  readonly #runners: ReadonlyMap<string, CheckRunner>;
  readonly #intervalMs: number;
  readonly #clock: WallClock;
  readonly #random: () => number;
  readonly #reports = new Emitter<HealthReport>();
  #state: "idle" | "started" | "closed" = "idle";
  #shuttingDown = false;
  #intervalTimer: ReturnType<WallClock["setTimeout"]> | undefined;
  #told: HealthReport | undefined;

  /**
   * Runs no check before `start` or `check`.
   *
   * @throws {TypeError} If two checkers have the same name.
   */
  constructor(options: HealthRegistryOptions) {
    const { checkers, clock = systemWallClock, onCheckError: onError = () => {} } = options;
    const { observer } = options;
    this.#clock = clock;
    this.#intervalMs = options.checkIntervalMs ?? 30_000;
    this.#random = options.random ?? Math.random;
    const onResult = () => this.#tellChange();
    this.#runners = new Map(
      checkers.map((checker) => [
        checker.name,
        new CheckRunner(checker, { clock, observer, onResult, onError }),
      ]),
    );
    if (this.#runners.size < checkers.length) {
      throw new TypeError("Two checkers have the same name; give each dependency its own.");
    }
  }

  /** Starts the background checks. The first one runs at once. */
  start(): void {
    if (this.#state !== "idle") return;
    this.#state = "started";
    for (const runner of this.#runners.values()) runner.follow();
    void this.#checkInBackground();
  }

  /**
   * Starts a check, or joins the running one.
   *
   * @throws {UnknownDependencyError} If there is no such dependency.
   * @throws {Error} If the registry is closed.
   */
  async check({ dependency, signal }: CheckOptions = {}): Promise<HealthReport> {
    const runners = this.#select(dependency);
    if (this.#state === "closed") throw new Error("The health registry is closed.");
    signal?.throwIfAborted();
    const results = Promise.all(runners.map((runner) => runner.run()));
    return this.#report(await abortable(results, signal), dependency);
  }

  /**
   * The last result. Only if there is none yet, it waits for a check.
   *
   * @throws {UnknownDependencyError} If there is no such dependency.
   */
  async cached(options: CheckOptions = {}): Promise<HealthReport> {
    return this.latest(options.dependency) ?? await this.check(options);
  }

  /**
   * The last result; undefined until every dependency has been checked.
   *
   * @throws {UnknownDependencyError} If there is no such dependency.
   */
  latest(dependency?: string): HealthReport | undefined {
    const results = this.#select(dependency).map((runner) => runner.latest);
    return results.every((result) => result !== undefined)
      ? this.#report(results, dependency)
      : undefined;
  }

  /** Whether the service should receive traffic. A DEGRADED service is ready. */
  get readiness(): Readiness {
    if (this.#shuttingDown) return { ready: false, reason: SHUTTING_DOWN };
    const report = this.latest();
    if (report === undefined) {
      return { ready: false, reason: "The dependencies have not been checked yet" };
    }
    return { ready: report.status !== ServiceStatus.UNHEALTHY, reason: report.message };
  }

  /**
   * Calls the listener after every change of the report or of readiness, with the report on all
   * dependencies that have been checked. An error that it throws is reported as an uncaught error of
   * the process, and affects neither the other listeners nor the checks.
   *
   * @returns A function that ends the subscription.
   */
  subscribe(listener: (report: HealthReport) => void): () => void {
    return this.#reports.subscribe(listener);
  }

  /** Makes the service not ready and its report UNHEALTHY. Checks continue. */
  beginShutdown(): void {
    this.#shuttingDown = true;
    this.#tellChange();
  }

  /** Stops all checks. Resolves when none is running. */
  async close(): Promise<void> {
    this.#state = "closed";
    this.#clock.clearTimeout(this.#intervalTimer);
    this.#reports.clear();
    await Promise.all(Array.from(this.#runners.values(), (runner) => runner.close()));
  }

  /** Closes the registry. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #select(dependency = ""): CheckRunner[] {
    if (dependency === "") return [...this.#runners.values()];
    const runner = this.#runners.get(dependency);
    if (runner === undefined) {
      throw new UnknownDependencyError(dependency, [...this.#runners.keys()]);
    }
    return [runner];
  }

  #report(results: readonly DependencyHealth[], dependency = ""): HealthReport {
    const report = summarize(results, this.#clock.date());
    if (!this.#shuttingDown || dependency !== "") return report;
    return { ...report, status: ServiceStatus.UNHEALTHY, message: SHUTTING_DOWN };
  }

  #tellChange(): void {
    const results = Array.from(this.#runners.values(), (runner) => runner.latest)
      .filter((result) => result !== undefined);
    // Until every dependency has been checked, only a shutdown is reported.
    if (results.length < this.#runners.size && !this.#shuttingDown) return;
    const report = this.#report(results);
    if (sameStory(this.#told, report)) return;
    this.#told = report;
    this.#reports.emit(report);
  }

  async #checkInBackground(): Promise<void> {
    await Promise.all(Array.from(this.#runners.values(), (runner) => runner.run()));
    if (this.#state === "closed") return;
    const delayMs = this.#intervalMs * (0.9 + 0.2 * this.#random());
    this.#intervalTimer = this.#clock.setTimeout(() => void this.#checkInBackground(), delayMs);
  }
}

const SHUTTING_DOWN = "Service is shutting down";
