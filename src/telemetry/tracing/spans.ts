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

/** Makes spans, and knows which of them are running. */
export class Spans {
  readonly #tracer: Tracer;
  /** On Deno a span that has ended still says that it is recording. */
  readonly #ended = new WeakSet<Span>();

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  /** Whether a span is running here. */
  get isInside(): boolean {
    const span = trace.getActiveSpan();
    return span !== undefined && !this.#ended.has(span);
  }

  /**
   * Begins a span inside of the one that is running here. One that has ended is no parent:
   * background work keeps the context of the call that began it, perhaps for days.
   */
  begin(name: string, options: SpanOptions, parent?: Context): Span {
    return this.#tracer.startSpan(name, options, parent ?? this.#parent());
  }

  end(span: Span): void {
    this.#ended.add(span);
    span.end();
  }

  /** Does the work inside of a span, which fails with it. */
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
 * Marks the span as failed. Texts of errors stay out of it, because they can repeat values; what
 * DatabaseError shows to clients cannot.
 */
export function fail(span: Span, error: unknown): void {
  if (!(error instanceof DatabaseError)) {
    // The value that OpenTelemetry has for everything else.
    span.setAttribute("error.type", error instanceof Error ? error.name : "_OTHER");
    span.setStatus({ code: SpanStatusCode.ERROR });
    return;
  }
  const { code, sqlState, publicMessage } = error;
  span.setAttribute("error.type", code);
  if (sqlState !== undefined) span.setAttribute("db.response.status_code", sqlState);
  span.setStatus({ code: SpanStatusCode.ERROR, message: publicMessage });
}
