import {
  Code,
  ConnectError,
  type ContextKey,
  createContextKey,
  type Interceptor,
} from "@connectrpc/connect";
import { DatabaseError } from "../database/mod.ts";
import { type Logger, RecordLimit } from "../log/mod.ts";
import { answerTo, DATABASE_ERROR_ANSWERS } from "./database_errors.ts";

/** How an RPC ended: `undefined` until then, and for requests that reached no RPC. */
export const outcomeKey: ContextKey<Code | "ok" | undefined> = createContextKey<
  Code | "ok" | undefined
>(undefined, { description: "outcome" });

/**
 * Answers database errors by the table of `docs/errors.md`, and hides all other errors that no RPC
 * meant for its clients, because Connect would send their text. Logs what was hidden, a repetition
 * only now and then, and notes in {@linkcode outcomeKey} how the RPC ended.
 */
export function errorInterceptor(logger: Logger): Interceptor {
  const limit = new RecordLimit();
  return (next) => async (request) => {
    const failed = (reason: unknown): ConnectError => {
      const error = publicError(reason, request.signal);
      const method = `/${request.service.typeName}/${request.method.name}`;
      logCause(logger, limit, method, error);
      request.contextValues.set(outcomeKey, error.code);
      return error;
    };
    try {
      const response = await next(request);
      if (!response.stream) {
        request.contextValues.set(outcomeKey, "ok");
        return response;
      }
      return { ...response, message: guarded(response.message, failed, request.contextValues) };
    } catch (reason) {
      throw failed(reason);
    }
  };
}

async function* guarded<T>(
  messages: AsyncIterable<T>,
  failed: (reason: unknown) => ConnectError,
  contextValues: { set(key: typeof outcomeKey, value: Code | "ok"): unknown },
): AsyncGenerator<T> {
  try {
    yield* messages;
    contextValues.set(outcomeKey, "ok");
  } catch (reason) {
    throw failed(reason);
  }
}

function publicError(reason: unknown, signal: AbortSignal): ConnectError {
  if (reason instanceof DatabaseError) {
    // An operation that was aborted together with its RPC says only that; the signal knows why.
    const endedWithRpc = reason.code === "ABORTED" && signal.aborted && reason !== signal.reason;
    return endedWithRpc ? publicError(signal.reason, signal) : answerTo(reason);
  }
  const isDeadline = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
  if (signal.aborted && reason === signal.reason && !isDeadline) {
    // Connect names the HTTP/2 error that ended the stream, and that is no fault of this service.
    return new ConnectError("the client has left", Code.Canceled);
  }
  if (reason instanceof ConnectError) return reason;
  return new ConnectError("internal error", Code.Internal, undefined, undefined, reason);
}

function logCause(
  logger: Logger,
  limit: RecordLimit,
  method: string,
  { cause, code }: ConnectError,
): void {
  const isDatabaseError = cause instanceof DatabaseError;
  if (!isDatabaseError && (cause === undefined || code !== Code.Internal)) return;
  const reason = isDatabaseError ? cause.code : cause instanceof Error ? cause.name : "unknown";
  const { level, repeats } = limit.weigh(
    `${method} ${reason}`,
    isDatabaseError ? DATABASE_ERROR_ANSWERS[cause.code].level : "error",
  );
  logger[level](
    { event: "rpc.failed", method, reason, ...repeats, err: cause },
    isDatabaseError ? "an RPC failed on the database" : "an RPC failed unexpectedly",
  );
}
