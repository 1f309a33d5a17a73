import {
  type Context,
  context,
  type Span,
  type SpanOptions,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import { DatabaseError } from "../../database/mod.ts";

/** Creates spans and tracks which of them have ended. */
export class Spans {
  readonly #tracer: Tracer;
  /** On Deno, `isRecording` stays true after a span has ended. */
  readonly #ended = new WeakSet<Span>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Whether there is an active span that has not ended. */
  get isInside(): boolean {
    const span = trace.getActiveSpan();
    return span !== undefined && !this.#ended.has(span);
  }

  /**
   * Starts a span as a child of the active one. A span that has ended is no parent: background work
   * keeps the context of the call that started it, possibly for days.
   */
  begin(name: string, options: SpanOptions, parent?: Context): Span {
    return this.#tracer.startSpan(name, options, parent ?? this.#parent());
  }

  end(span: Span): void {
    this.#ended.add(span);
    span.end();
  }

  /** Runs `work` within a span; if it throws, the span has failed. */
  async run<T>(name: string, options: SpanOptions, work: (span: Span) => Promise<T>): Promise<T> {
    const parent = this.#parent();
    const span = this.begin(name, options, parent);
    try {
      return await context.with(trace.setSpan(parent, span), () => work(span));
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      this.end(span);
    }
  }

  #parent(): Context {
    return this.isInside ? context.active() : trace.deleteSpan(context.active());
  }
}

/**
 * Marks the span as failed. Error messages are omitted, because they can contain values; the public
 * message of a DatabaseError cannot.
 */
export function fail(span: Span, error: unknown): void {
  if (!(error instanceof DatabaseError)) {
    // OpenTelemetry's value for unknown error types.
    span.setAttribute("error.type", error instanceof Error ? error.name : "_OTHER");
    span.setStatus({ code: SpanStatusCode.ERROR });
    return;
  }
  const { code, sqlState, publicMessage } = error;
  span.setAttribute("error.type", code);
  if (sqlState !== undefined) span.setAttribute("db.response.status_code", sqlState);
  span.setStatus({ code: SpanStatusCode.ERROR, message: publicMessage });
}
