import { eventually } from "./condition.ts";

/** A span as OTLP's JSON encoding has it, with plain attributes. */
export interface ExportedSpan {
  /** Who made it: the service, or `deno` for what the runtime makes by itself. */
  readonly scope: string;
  readonly name: string;
  readonly kind: "INTERNAL" | "SERVER" | "CLIENT" | "other";
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first span of a trace. */
  readonly parentSpanId: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly hasFailed: boolean;
}

/** Of OTLP's `SpanKind`. */
const KINDS = ["other", "INTERNAL", "SERVER", "CLIENT"] as const;
/** `STATUS_CODE_ERROR` of OTLP's `Status`. */
const STATUS_ERROR = 2;

/** Receives what a process exports by OTLP over HTTP, in JSON. */
export class OtlpCollector implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  /** Everything that was received, as it came. */
  readonly bodies: string[] = [];
  readonly spans: ExportedSpan[] = [];

  constructor() {
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        const body = await request.text();
        this.bodies.push(body);
        if (new URL(request.url).pathname === "/v1/traces") {
          this.spans.push(...spansOf(JSON.parse(body)));
        }
        return Response.json({});
      },
    );
  }

  /** What a process must be given to export everything here, soon. */
  get env(): Record<string, string> {
    return { OTEL_DENO: "true", ...this.settings };
  }

  /** The same, without the one that turns exporting on. */
  get settings(): Record<string, string> {
    return {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${this.#server.addr.port}`,
      OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
      OTEL_SERVICE_NAME: "treasury-service",
      OTEL_BSP_SCHEDULE_DELAY: "50",
    };
  }

  /** Waits for the first span that fits. */
  async span(what: string, fits: (span: ExportedSpan) => boolean): Promise<ExportedSpan> {
    return await eventually(() => this.spans.find(fits), { what: `${what} is exported` });
  }

  /** Waits for a span with this name inside of another one. */
  async child(parent: ExportedSpan, name: string): Promise<ExportedSpan> {
    return await this.span(
      `${name} inside of ${parent.name}`,
      (span) => span.parentSpanId === parent.spanId && span.name === name,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

interface TracesData {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly {
      readonly scope: { readonly name: string };
      readonly spans: readonly (Omit<ExportedSpan, "attributes" | "kind"> & {
        readonly kind: number;
        readonly attributes: readonly { key: string; value: Record<string, unknown> }[];
        readonly status: { readonly code: number };
      })[];
    }[];
  }[];
}

function spansOf({ resourceSpans }: TracesData): ExportedSpan[] {
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans).flatMap(({ scope, spans }) =>
    spans.map(({ name, kind, traceId, spanId, parentSpanId, attributes, status }) => ({
      scope: scope.name,
      name,
      kind: KINDS[kind] ?? "other",
      traceId,
      spanId,
      parentSpanId,
      attributes: Object.fromEntries(
        attributes.map(({ key, value }) => [key, Object.values(value)[0]]),
      ),
      hasFailed: status.code === STATUS_ERROR,
    }))
  );
}
