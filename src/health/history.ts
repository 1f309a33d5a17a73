import { create } from "@bufbuild/protobuf";
import {
  CircuitState,
  type HealthEvent,
  HealthEventSchema,
  ServiceStatus,
} from "../../gen/treasury/v1/health_pb.ts";
import { systemWallClock, type WallClock } from "./clock.ts";
import type { HealthRegistry } from "./registry.ts";
import { type HealthReport, type Story, storyOf } from "./report.ts";

/** Settings of a {@linkcode HealthHistory}. */
export interface HealthHistoryOptions {
  /** Most events that are kept; default: 100, as the contract says. */
  readonly limit?: number | undefined;
  readonly clock?: WallClock | undefined;
}

const MAX_INT32 = 2 ** 31 - 1;

/**
 * Remembers what has changed lately, so that whoever looks in the middle of an outage sees when and
 * how it began. Kept in memory: a restart forgets, metrics and logs do not.
 */
export class HealthHistory implements Disposable {
  readonly #limit: number;
  readonly #clock: WallClock;
  readonly #unsubscribe: () => void;
  readonly #last = new Map<string, HealthEvent>();
  /** Since when, in monotonic milliseconds, by name. */
  readonly #unhealthySince = new Map<string, number>();
  #events: readonly HealthEvent[] = [];

  /** @param registry Subscribed to at once, so that later subscribers find the event here. */
  constructor(registry: HealthRegistry, options: HealthHistoryOptions = {}) {
    const { limit = 100, clock = systemWallClock } = options;
    this.#limit = limit;
    this.#clock = clock;
    this.#unsubscribe = registry.subscribe((report) => this.#add(report));
  }

  /** Oldest first; of one dependency, or of the service and all of them. */
  events(dependency = ""): readonly HealthEvent[] {
    return dependency === ""
      ? this.#events
      : this.#events.filter((event) => event.dependency === dependency);
  }

  [Symbol.dispose](): void {
    this.#unsubscribe();
  }

  #add(report: HealthReport): void {
    const { status, message } = report;
    const events = [...report.dependencies, { name: "", status, message }]
      .map(({ name, ...told }) => this.#change(name, told))
      .filter((event) => event !== undefined);
    this.#events = [...this.#events, ...events].slice(-this.#limit);
  }

  /** Undefined when nothing is new. */
  #change(dependency: string, told: Story): HealthEvent | undefined {
    const last = this.#last.get(dependency);
    if (last !== undefined && isSame(last, told)) return undefined;
    const { status, message, errorCode, accessMode, circuitState } = told;
    const outageMs = this.#outageEndedBy(dependency, status);
    const event = create(HealthEventSchema, {
      time: this.#clock.date().toISOString(),
      dependency,
      status,
      message,
      ...(errorCode !== undefined && { errorCode }),
      ...(accessMode !== undefined && { accessMode }),
      ...(circuitState !== undefined && { circuitState }),
      ...(outageMs !== undefined && { outageMs }),
    });
    this.#last.set(dependency, event);
    return event;
  }

  #outageEndedBy(dependency: string, status: ServiceStatus): number | undefined {
    const since = this.#unhealthySince.get(dependency);
    if (status === ServiceStatus.UNHEALTHY) {
      if (since === undefined) this.#unhealthySince.set(dependency, this.#clock.now());
      return undefined;
    }
    this.#unhealthySince.delete(dependency);
    return since === undefined
      ? undefined
      : Math.min(Math.round(this.#clock.now() - since), MAX_INT32);
  }
}

/**
 * Whether `b` is no news after `a`. An open circuit is half-open whenever it is probed, which in a
 * long outage would drive out the event that says when it began.
 */
function isSame(a: Story, b: Story): boolean {
  return storyOf(withoutProbes(a)) === storyOf(withoutProbes(b));
}

function withoutProbes(story: Story): Story {
  return story.circuitState === CircuitState.HALF_OPEN
    ? { ...story, circuitState: CircuitState.OPEN }
    : story;
}
