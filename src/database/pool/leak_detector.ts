import type { Clock } from "../clock.ts";
import { Overdue } from "./overdue.ts";

/** A resource that somebody has used for too long, perhaps without ever releasing it. */
export interface Leak {
  readonly heldMs: number;
  /** Where it was acquired: the frames of a stack trace, without this layer's. */
  readonly stack: string;
}

/** A place in the code; its stack is written out only when it is read. */
type Trace = Error;

/** Enough for the database layer's own frames and a good part of its caller's; V8's default is 10. */
const STACK_TRACE_LIMIT = 50;
const LAYER = new URL("../", import.meta.url).href;

/** Settings of a {@linkcode LeakDetector}. */
export interface LeakDetectorOptions {
  readonly thresholdMs: number;
  readonly onLeak: (leak: Leak) => void;
  readonly clock: Clock;
}

/** Tells of each resource that is in use for too long, once for each use. */
export class LeakDetector<R> {
  readonly #traces = new Map<R, Trace>();
  readonly #overdue: Overdue<R>;

  constructor({ thresholdMs, onLeak, clock }: LeakDetectorOptions) {
    this.#overdue = new Overdue(clock, thresholdMs, (resource, heldMs) => {
      onLeak({ heldMs, stack: framesOf(this.#traces.get(resource)) });
    });
  }

  /** Remembers who is calling, for a use that may begin later. */
  trace(): Trace {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = STACK_TRACE_LIMIT;
    try {
      return new Error("Acquired");
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  begin(resource: R, trace: Trace): void {
    this.#traces.set(resource, trace);
    this.#overdue.add(resource);
  }

  end(resource: R): void {
    this.#traces.delete(resource);
    this.#overdue.delete(resource);
  }

  /** Forgets every use. */
  stop(): void {
    this.#traces.clear();
    this.#overdue.clear();
  }
}

/** The stack without its message and without the frames of the database layer. */
function framesOf(trace: Trace | undefined): string {
  const lines = trace?.stack?.split("\n") ?? [];
  return lines.filter((line) => /^\s+at /.test(line) && !line.includes(LAYER)).join("\n");
}
