import { isSpanContextValid, trace, type Tracer } from "@opentelemetry/api";
import type { DatabaseObserver } from "../../database/mod.ts";
import { databaseSpans, type TracedDatabase } from "./database_spans.ts";
import { healthSpans } from "./health_spans.ts";
import type { Observers } from "./observers.ts";
import { rpcSpans } from "./rpc_spans.ts";
import { Spans } from "./spans.ts";

/** Observers that create spans. */
export interface Tracing extends Observers {
  /** Returns the observer of an additional manager. */
  readonly observeDatabase: (database: TracedDatabase) => DatabaseObserver;
  /** Returns the trace and span ids for log records. */
  readonly logFields: () => Record<string, string>;
}

/** Names in the spans of {@linkcode createTracing}. */
export interface TracingOptions {
  readonly version: string;
  readonly database: TracedDatabase;
}

/**
 * Returns observers that create spans; undefined if Deno exports no traces, to avoid their cost.
 * Deno exports traces if it is started with `OTEL_DENO=true`.
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

/** Asks the API rather than the environment: several variables of Deno control the export. */
function isExported(tracer: Tracer): boolean {
  // Never ended, so never exported.
  return isSpanContextValid(tracer.startSpan("probe").spanContext());
}

function logFields(): Record<string, string> {
  const span = trace.getActiveSpan();
  if (span === undefined) return {};
  const { traceId, spanId } = span.spanContext();
  return { trace_id: traceId, span_id: spanId };
}
