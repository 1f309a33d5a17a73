import {
  type DependencyHealth,
  DependencyType,
  ServiceStatus,
} from "../../../gen/treasury/v1/health_pb.ts";
import { CheckTimer, type DependencyChecker, type Finding } from "../../../src/health/checker.ts";
import { systemWallClock, type WallClock } from "../../../src/health/clock.ts";

export const HEALTHY: Finding = { status: ServiceStatus.HEALTHY, message: "Fine" };
export const DEGRADED: Finding = {
  status: ServiceStatus.DEGRADED,
  message: "Slow",
  error: "It is slow.",
  errorCode: "SLOW",
};
export const UNHEALTHY: Finding = {
  status: ServiceStatus.UNHEALTHY,
  message: "Gone",
  error: "It is gone.",
  errorCode: "GONE",
};

/** A dependency that a test plays. */
export class ScriptedChecker implements DependencyChecker {
  readonly name: string;
  readonly type = DependencyType.GRPC_SERVICE;
  readonly critical: boolean;
  readonly target = { hostname: "localhost", port: 50051, protocol: "grpc" };
  readonly timeoutMs = 1000;
  /** What the next checks find. */
  finding: Finding = HEALTHY;
  /** What the next checks wait for. */
  gate: Promise<unknown> = Promise.resolve();
  /** What the next checks throw. */
  fault: unknown;
  /** Signals of the checks so far. */
  readonly signals: AbortSignal[] = [];
  mostAtOnce = 0;
  #running = 0;
  readonly #listeners = new Set<() => void>();
  readonly #clock: WallClock;

  constructor(name: string, critical = true, clock: WallClock = systemWallClock) {
    this.name = name;
    this.critical = critical;
    this.#clock = clock;
  }

  get checks(): number {
    return this.signals.length;
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  async check(signal: AbortSignal): Promise<DependencyHealth> {
    const timer = new CheckTimer(this.#clock);
    this.signals.push(signal);
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#running);
    await this.gate;
    this.#running--;
    if (this.fault !== undefined) throw this.fault;
    return timer.result(this, this.finding);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Lets the next checks wait until the result is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.gate = promise;
    return resolve;
  }

  /** Tells the registry that something has changed. */
  change(): void {
    for (const listener of this.#listeners) listener();
  }
}
