import { type Clock, SharedTimeout } from "../../time.ts";

/** A resource that somebody has used for too long, perhaps without ever releasing it. */
export interface Leak {
  /** How long it has been in use until now. */
  readonly heldMs: number;
  /** Where it was acquired: the lines of a stack trace, from the caller of the pool on. */
  readonly stack: string;
}

/** A place in the code; V8 writes its stack out only when it is read. */
type Trace = Pick<Error, "stack">;

/** Enough for the layers above the pool and a good part of their caller's; V8's default is 10. */
const STACK_TRACE_LIMIT = 50;

/** Tells of each resource that is in use for too long, once for each use. */
export class LeakDetector<R> {
  readonly #traces = new Map<R, Trace>();
  readonly #uses: SharedTimeout<R>;

  constructor(clock: Clock, thresholdMs: number, onLeak: (leak: Leak) => void) {
    this.#uses = new SharedTimeout(clock, thresholdMs, (resource, heldMs) => {
      const lines = this.#traces.get(resource)?.stack?.split("\n") ?? [];
      onLeak({ heldMs, stack: lines.filter((line) => /^\s+at /.test(line)).join("\n") });
    });
  }

  /**
   * Remembers who is calling, for a use that may begin later.
   *
   * @param entrance The function that was called: the trace begins at its caller.
   */
  // deno-lint-ignore ban-types -- what V8 takes
  trace(entrance: Function): Trace {
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = STACK_TRACE_LIMIT;
    try {
      const trace: Trace = {};
      Error.captureStackTrace(trace, entrance);
      return trace;
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
    }
  }

  begin(resource: R, trace: Trace): void {
    this.#traces.set(resource, trace);
    this.#uses.add(resource);
  }

  end(resource: R): void {
    this.#traces.delete(resource);
    this.#uses.delete(resource);
  }

  /** Forgets every use. */
  stop(): void {
    this.#traces.clear();
    this.#uses.clear();
  }
}
