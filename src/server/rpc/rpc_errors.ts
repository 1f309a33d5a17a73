import {
  Code,
  ConnectError,
  type ContextKey,
  createContextKey,
  type Interceptor,
} from "@connectrpc/connect";
import { DatabaseError } from "../../database/mod.ts";
import { type Logger, RecordLimit } from "../../log/mod.ts";
import { answerTo, DATABASE_ERROR_ANSWERS } from "../database_errors.ts";
import type { Request } from "../handler.ts";

/** The HTTP request of an RPC, for interceptors. */
export const requestKey: ContextKey<Request | undefined> = createContextKey<Request | undefined>(
  undefined,
  { description: "request" },
);

/**
 * Maps errors to what clients see. Database errors are mapped by the table in `docs/errors.md`. All
 * others that are not ConnectErrors of the implementation become INTERNAL, because their text may
 * contain internal details. Hidden errors are logged; repetitions only occasionally.
 */
export class RpcErrors {
  readonly #logger: Logger;
  readonly #limit = new RecordLimit();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Returns the error for the client, and records the result of the RPC in the request. */
  answer(reason: unknown, request: Request, method: string): ConnectError {
    const error = publicError(reason, request);
    this.#logCause(method, error);
    request.outcome = error.code;
    return error;
  }

  /** For RPCs that Connect serves. */
  readonly interceptor: Interceptor = (next) => async (call) => {
    const request = call.contextValues.get(requestKey)!;
    const method = `/${call.service.typeName}/${call.method.name}`;
    const failed = (reason: unknown) => this.answer(reason, request, method);
    try {
      const response = await next(call);
      if (response.stream) return { ...response, message: told(response.message, failed, request) };
      request.outcome = "ok";
      return response;
    } catch (reason) {
      throw failed(reason);
    }
  };

  #logCause(method: string, { cause, code }: ConnectError): void {
    const isDatabaseError = cause instanceof DatabaseError;
    if (!isDatabaseError && (cause === undefined || code !== Code.Internal)) return;
    const reason = isDatabaseError ? cause.code : cause instanceof Error ? cause.name : "unknown";
    const { level, repeats } = this.#limit.weigh(
      `${method} ${reason}`,
      isDatabaseError ? DATABASE_ERROR_ANSWERS[cause.code].level : "error",
    );
    this.#logger[level](
      { event: "rpc.failed", method, reason, ...repeats, err: cause },
      isDatabaseError ? "an RPC failed on the database" : "an RPC failed unexpectedly",
    );
  }
}

async function* told<T>(
  messages: AsyncIterable<T>,
  failed: (reason: unknown) => ConnectError,
  request: Request,
): AsyncGenerator<T> {
  try {
    yield* messages;
    request.outcome = "ok";
  } catch (reason) {
    throw failed(reason);
  }
}

function publicError(reason: unknown, request: Request): ConnectError {
  if (reason instanceof DatabaseError) {
    // An operation that was aborted with its RPC reports only that; the signal has the reason.
    const { signal } = request;
    const endedWithRpc = reason.code === "ABORTED" && signal.aborted && reason !== signal.reason;
    return endedWithRpc ? publicError(signal.reason, request) : answerTo(reason);
  }
  const isDeadline = reason instanceof ConnectError && reason.code === Code.DeadlineExceeded;
  // Errors caused by the disconnect, such as a failed read of the request, are not bugs.
  if (request.hasLeft && !isDeadline) {
    return new ConnectError("the client has disconnected", Code.Canceled);
  }
  if (reason instanceof ConnectError) return reason;
  return new ConnectError("internal error", Code.Internal, undefined, undefined, reason);
}
