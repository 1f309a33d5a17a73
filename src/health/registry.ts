import { type DependencyHealth, ServiceStatus } from "../../gen/treasury/v1/health_pb.ts";
import { Emitter } from "../emitter.ts";
import { abortable } from "../time.ts";
import { CheckRunner, type HealthObserver } from "./check_runner.ts";
import type { DependencyChecker } from "./checker.ts";
import { systemWallClock, type WallClock } from "./clock.ts";
import { type HealthReport, sameStory, summarize } from "./report.ts";

/** Settings of a {@linkcode HealthRegistry}. */
export interface HealthRegistryOptions {
  /** Not disposed by the registry: whoever made them disposes them after it. */
  readonly checkers: readonly DependencyChecker[];
  /**
   * Time between two background checks in milliseconds; each wait differs by up to a tenth, so that
   * replicas do not check in step.
   *
   * @default 30_000
   */
  readonly checkIntervalMs?: number;
  /** Gets what a checker threw, for the log. Clients never see it. */
  readonly onCheckError?: (dependency: string, error: unknown) => void;
  readonly observer?: HealthObserver | undefined;
  readonly clock?: WallClock;
  /** From 0 to 1, as `Math.random`. */
  readonly random?: () => number;
}

/** Which result a caller wants, and how long it waits. */
export interface CheckOptions {
  /** The one dependency to report on; empty or absent means all. */
  readonly dependency?: string | undefined;
  /** Ends this caller's wait with the signal's reason; the check goes on for the others. */
  readonly signal?: AbortSignal | undefined;
}

/** Whether the service should get traffic, and if not, why. */
export interface Readiness {
  readonly ready: boolean;
  readonly reason: string;
}

/** No dependency has this name. */
export class UnknownDependencyError extends Error {
  override readonly name = "UnknownDependencyError";

  constructor(readonly dependency: string, readonly known: readonly string[]) {
    super(
      `There is no dependency ${JSON.stringify(dependency)}; known are: ` +
        (known.join(", ") || "none"),
    );
  }
}

/**
 * Knows how the service is doing: asks the checkers side by side, at an interval and when a
 * dependency changes, keeps the last results and tells subscribers of changes. Callers that ask at
 * the same time share one check of each dependency.
 *
 * ```ts ignore
 * await using registry = new HealthRegistry({ checkers: [postgresql] });
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

  /** @throws {TypeError} When two checkers have the same name. */
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

  /** Starts the background checks, the first one at once. */
  start(): void {
    if (this.#state !== "idle") return;
    this.#state = "started";
    for (const runner of this.#runners.values()) runner.follow();
    void this.#checkInBackground();
  }

  /**
   * Checks now, or joins the checks that are running.
   *
   * @throws {UnknownDependencyError} When there is no such dependency.
   */
  async check({ dependency, signal }: CheckOptions = {}): Promise<HealthReport> {
    const runners = this.#select(dependency);
    if (this.#state === "closed") throw new Error("The health registry is closed.");
    signal?.throwIfAborted();
    const results = Promise.all(runners.map((runner) => runner.run()));
    return this.#report(await abortable(results, signal), dependency);
  }

  /**
   * The last result without a check; only before the first one it waits for a check.
   *
   * @throws {UnknownDependencyError} When there is no such dependency.
   */
  async cached(options: CheckOptions = {}): Promise<HealthReport> {
    return this.latest(options.dependency) ?? await this.check(options);
  }

  /**
   * The last result; undefined while a dependency has not been checked yet.
   *
   * @throws {UnknownDependencyError} When there is no such dependency.
   */
  latest(dependency?: string): HealthReport | undefined {
    const results = this.#select(dependency).map((runner) => runner.latest);
    return results.every((result) => result !== undefined)
      ? this.#report(results, dependency)
      : undefined;
  }

  /** DEGRADED is ready: taking the service away would help nobody. */
  get readiness(): Readiness {
    if (this.#shuttingDown) return { ready: false, reason: SHUTTING_DOWN };
    const report = this.latest();
    if (report === undefined) {
      return { ready: false, reason: "The dependencies have not been checked yet" };
    }
    return { ready: report.status !== ServiceStatus.UNHEALTHY, reason: report.message };
  }

  /**
   * Calls the listener after every change of the report or of readiness. It gets the report on all
   * dependencies that have been checked. What it throws is an uncaught error of the process, and
   * stops neither the other listeners nor the checks.
   *
   * @returns The function that ends the subscription.
   */
  subscribe(listener: (report: HealthReport) => void): () => void {
    return this.#reports.subscribe(listener);
  }

  /** From now on the service is not ready and its report is UNHEALTHY. Checks go on. */
  beginShutdown(): void {
    this.#shuttingDown = true;
    this.#tellChange();
  }

  /** Stops all checks; resolves when none is running. */
  async close(): Promise<void> {
    this.#state = "closed";
    this.#clock.clearTimeout(this.#intervalTimer);
    this.#reports.clear();
    await Promise.all(Array.from(this.#runners.values(), (runner) => runner.close()));
  }

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
    // While a dependency is unknown, the only news is a shutdown.
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
