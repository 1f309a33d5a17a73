import {
  Code,
  ConnectError,
  type ContextKey,
  createContextKey,
  type Interceptor,
} from "@connectrpc/connect";
import type { Logger } from "../telemetry/mod.ts";

/** How an RPC ended: `undefined` until then, and for requests that reached no RPC. */
export const outcomeKey: ContextKey<Code | "ok" | undefined> = createContextKey<
  Code | "ok" | undefined
>(undefined, { description: "outcome" });

/**
 * Hides errors that no RPC meant for its clients, because Connect would send their text, and notes
 * in {@linkcode outcomeKey} how the RPC ended.
 */
export function errorInterceptor(logger: Logger): Interceptor {
  return (next) => async (request) => {
    const failed = (reason: unknown): ConnectError => {
      const error = publicError(reason, request.signal);
      if (error.cause !== undefined && error.code === Code.Internal) {
        const method = `/${request.service.typeName}/${request.method.name}`;
        logger.error(
          { event: "rpc.failed", method, err: error.cause },
          "an RPC failed unexpectedly",
        );
      }
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
  if (reason instanceof ConnectError) return reason;
  if (signal.aborted && reason === signal.reason) return ConnectError.from(reason, Code.Canceled);
  return new ConnectError("internal error", Code.Internal, undefined, undefined, reason);
}
