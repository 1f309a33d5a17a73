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

/** Codes for which a server's span has failed; the others are the client's affair. */
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
  // Propagators of the standard ask for what they know by name.
  keys: () => [],
};

/**
 * Makes a span of each RPC, in the trace that its caller has begun, if any.
 *
 * Source of names and of what an error is: OpenTelemetry semantic conventions, "RPC".
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
          // A method that there is not has neither.
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
