import { SpanStatusCode } from "@opentelemetry/api";
import { ServiceStatus } from "../../../gen/treasury/v1/health_pb.ts";
import type { HealthObserver } from "../../health/mod.ts";
import type { Spans } from "./spans.ts";

/** Creates a span for each check. A check that callers share belongs to the trace of the first. */
export function healthSpans(spans: Spans): HealthObserver {
  return {
    check: (dependency, run) =>
      spans.run(
        "health.check",
        { attributes: { "health.dependency": dependency } },
        async (span) => {
          const result = await run();
          const { status, message, errorCode } = result;
          span.setAttribute("health.status", ServiceStatus[status].toLowerCase());
          if (status === ServiceStatus.UNHEALTHY) {
            span.setAttribute("error.type", errorCode);
            span.setStatus({ code: SpanStatusCode.ERROR, message });
          }
          return result;
        },
      ),
  };
}
