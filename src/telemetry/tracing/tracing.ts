import { isSpanContextValid, trace, type Tracer } from "@opentelemetry/api";
import type { DatabaseObserver } from "../../database/mod.ts";
import { databaseSpans, type TracedDatabase } from "./database_spans.ts";
import { healthSpans } from "./health_spans.ts";
import type { Observers } from "./observers.ts";
import { rpcSpans } from "./rpc_spans.ts";
import { Spans } from "./spans.ts";

/** Makes spans of what it observes. */
export interface Tracing extends Observers {
  /** Gives the observer of one more manager. */
  readonly observeDatabase: (database: TracedDatabase) => DatabaseObserver;
  /** Fields for the log, that lead from a record to its trace. */
  readonly logFields: () => Record<string, string>;
}

/** What {@linkcode createTracing} needs. */
export interface TracingOptions {
  readonly version: string;
  readonly database: TracedDatabase;
}

/**
 * Gives the observers that make spans; undefined when Deno exports no traces, so that nothing is
 * observed and nothing paid for. Deno exports them when it was started with `OTEL_DENO=true`.
 */
export function createTracing({ version, database }: TracingOptions): Tracing | undefined {
  const tracer = trace.getTracer("treasury-service", version);
  if (!isExported(tracer)) return undefined;
  const spans = new Spans(tracer);
  return {
    databaseObserver: databaseSpans(spans, database),
    observeDatabase: (another) => databaseSpans(spans, another),
    healthObserver: healthSpans(spans),
    rpcObserver: rpcSpans(spans),
    logFields,
  };
}

/** Asks the API and not the environment: Deno has several variables for it, and may read them. */
function isExported(tracer: Tracer): boolean {
  // Never ended, so it is never sent.
  return isSpanContextValid(tracer.startSpan("probe").spanContext());
}

function logFields(): Record<string, string> {
  const span = trace.getActiveSpan();
  if (span === undefined) return {};
  const { traceId, spanId } = span.spanContext();
  return { trace_id: traceId, span_id: spanId };
}
