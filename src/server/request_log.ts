import { Code } from "@connectrpc/connect";
import { codeToString } from "@connectrpc/connect/protocol-connect";
import { type Logger, RecordLimit } from "../log/mod.ts";
import type { Handler, Request } from "./handler.ts";
import { outcomeOf, protocolOf } from "./outcome.ts";
import { PROBE_PATHS } from "./probes.ts";

/** Codes of failures of this service or its dependencies, rather than of the caller. */
const SERVER_FAULTS: ReadonlySet<Code> = new Set([
  Code.Unknown,
  Code.Internal,
  Code.Unavailable,
  Code.DataLoss,
  Code.DeadlineExceeded,
]);

/** RPCs that pages, commands and load balancers poll. */
const POLLED = /^\/(?:treasury\.v1|grpc\.health\.v1)\.Health\//;
/** Interval at which a successful poll is logged at its normal level. */
const POLL_RECORD_INTERVAL_MS = 60_000;

/** Not logged at level info: changes of health have their own log events. */
const AS_PROBE = { level: "debug", repeats: {} } as const;
const AS_USUAL = { level: "info", repeats: {} } as const;

/**
 * Logs each request once, when its answer has been sent or abandoned. Most of the requests that
 * fail in the same way, as in an outage, and most polls of the health are logged at level debug.
 */
export function requestLog(inner: Handler, logger: Logger): Handler {
  const limits = {
    failures: new RecordLimit(),
    polls: new RecordLimit({ intervalMs: POLL_RECORD_INTERVAL_MS }),
  };
  return async (request) => {
    const startedAt = performance.now();
    let status = 0;
    request.onEnd(() =>
      request.run(() =>
        logRequest({ logger, ...limits }, request, status, performance.now() - startedAt)
      )
    );
    const response = await inner(request);
    status = response.status;
    return response;
  };
}

function logRequest(
  { logger, failures, polls }: Record<"failures" | "polls", RecordLimit> & { logger: Logger },
  request: Request,
  status: number,
  duration: number,
): void {
  const code = outcomeOf(request);
  const { path } = request;
  const failed = code === undefined ? status >= 500 : code !== "ok" && SERVER_FAULTS.has(code);
  const name = code === undefined || code === "ok" ? code : codeToString(code);
  const kind = name === undefined ? `http ${status}` : `${path} ${name}`;
  const { level, repeats } = PROBE_PATHS.has(path)
    ? AS_PROBE
    : failed
    ? failures.weigh(kind, "warn")
    : POLLED.test(path) && code === "ok"
    ? polls.weigh(kind, "info")
    : AS_USUAL;
  logger[level]({
    event: "request",
    method: path,
    protocol: protocolOf(request),
    http: request.httpVersion,
    status,
    code: name,
    duration_ms: Math.round(duration * 1000) / 1000,
    peer: request.peer,
    ...repeats,
  }, "request");
}
