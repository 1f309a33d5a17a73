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

/** How much a {@linkcode HealthHistory} keeps. */
export interface HealthHistoryOptions {
  /** Maximum number of events. Default: 100, as the API contract says. */
  readonly limit?: number | undefined;
  /** Default: the system clock. */
  readonly clock?: WallClock | undefined;
}

const MAX_INT32 = 2 ** 31 - 1;

/**
 * Keeps the most recent changes of health, which show when and how an outage began. They are kept in
 * memory only and lost on restart; metrics and logs persist.
 */
export class HealthHistory implements Disposable {
  readonly #limit: number;
  readonly #clock: WallClock;
  readonly #unsubscribe: () => void;
  readonly #last = new Map<string, HealthEvent>();
  /** Start of the outage by dependency, in monotonic milliseconds. */
  readonly #unhealthySince = new Map<string, number>();
  #events: readonly HealthEvent[] = [];

  /** Subscribes to the registry at once, so that later subscribers already find the event here. */
  constructor(registry: HealthRegistry, options: HealthHistoryOptions = {}) {
    const { limit = 100, clock = systemWallClock } = options;
    this.#limit = limit;
    this.#clock = clock;
    this.#unsubscribe = registry.subscribe((report) => this.#add(report));
  }

  /** The events, oldest first: of one dependency, or of the service and all dependencies. */
  events(dependency = ""): readonly HealthEvent[] {
    return dependency === ""
      ? this.#events
      : this.#events.filter((event) => event.dependency === dependency);
  }

  /** Ends the subscription. */
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

  /** Returns undefined if nothing has changed. */
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
 * Whether `b` is not a change from `a`. Half-open counts as open: during a long outage, the probes of
 * the circuit would otherwise displace the event of its beginning.
 */
function isSame(a: Story, b: Story): boolean {
  return storyOf(withoutProbes(a)) === storyOf(withoutProbes(b));
}

function withoutProbes(story: Story): Story {
  return story.circuitState === CircuitState.HALF_OPEN
    ? { ...story, circuitState: CircuitState.OPEN }
    : story;
}
