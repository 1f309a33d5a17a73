import {
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TextMapGetter,
  trace,
} from "@opentelemetry/api";
import { Code } from "@connectrpc/connect";
import { codeFromString } from "@connectrpc/connect/protocol-connect";
import type { ReadField, RpcCall, RpcObserver } from "../../server/mod.ts";
import type { Spans } from "./spans.ts";

/** Codes for which the span of a server has failed; the others are errors of the client. */
const SERVER_FAULTS: ReadonlySet<string> = new Set([
  "unknown",
  "deadline_exceeded",
  "unimplemented",
  "internal",
  "unavailable",
  "data_loss",
]);

const HEADER: TextMapGetter<ReadField> = {
  get: (field, name) => field(name.toLowerCase()),
  // The standard propagators read their fields by name.
  keys: () => [],
};

/**
 * Creates a span for each RPC, in the trace of its caller if there is one.
 *
 * Source of the names and of the errors: OpenTelemetry semantic conventions, "RPC".
 */
export function rpcSpans(spans: Spans): RpcObserver {
  return {
    begin(call, field) {
      const caller = propagation.extract(ROOT_CONTEXT, field, HEADER);
      const [service, method] = call.method.split("/");
      const span = spans.begin(call.method, {
        kind: SpanKind.SERVER,
        attributes: {
          "rpc.system": call.protocol === "connect" ? "connect_rpc" : "grpc",
          // Unknown methods have neither.
          ...(method !== undefined && { "rpc.service": service, "rpc.method": method }),
        },
      }, caller);
      const inside = trace.setSpan(caller, span);
      return {
        run: (handle) => context.with(inside, handle),
        end(code) {
          setOutcome(span, call, code);
          spans.end(span);
        },
      };
    },
  };
}

function setOutcome(span: Span, { protocol }: RpcCall, code: string): void {
  if (protocol !== "connect") span.setAttribute("rpc.grpc.status_code", numberOf(code));
  if (code === "ok") return;
  if (protocol === "connect") span.setAttribute("rpc.connect_rpc.error_code", code);
  if (!SERVER_FAULTS.has(code)) return;
  span.setAttribute("error.type", code);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function numberOf(code: string): number {
  return code === "ok" ? 0 : codeFromString(code) ?? Code.Unknown;
}
