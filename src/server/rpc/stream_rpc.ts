import { createContextValues, type MethodImplSpec } from "@connectrpc/connect";
import {
  createUniversalMethodHandler,
  type UniversalServerResponse,
} from "@connectrpc/connect/protocol";
import { createHandlerFactory as createConnect } from "@connectrpc/connect/protocol-connect";
import { createHandlerFactory as createGrpc } from "@connectrpc/connect/protocol-grpc";
import { createHandlerFactory as createGrpcWeb } from "@connectrpc/connect/protocol-grpc-web";
import { MAX_TIMER_MS } from "../../time.ts";
import { readableMessage } from "../error_answer.ts";
import { fromHeaders } from "../fields.ts";
import type { Handler, Request, RequestBody, Response } from "../handler.ts";
import { tooSlow } from "../node_body.ts";
import { readTimeout } from "./deadline.ts";
import type { CommonRpcOptions } from "./options.ts";
import { methodNotAllowed, unsupportedMediaType, versionNotSupported } from "./refusals.ts";
import { requestKey } from "./rpc_errors.ts";

/** Serves a method with a stream of request messages, by the handlers of Connect. */
export function streamRpc(spec: MethodImplSpec, options: CommonRpcOptions): Handler {
  const { compressions, errors, jsonOptions, maxRequestBytes, requestTimeoutMs } = options;
  const common = {
    acceptCompression: [...compressions],
    interceptors: [errors.interceptor],
    jsonOptions,
    readMaxBytes: maxRequestBytes,
  };
  const handle = createUniversalMethodHandler(
    spec,
    [createGrpc(common), createGrpcWeb(common), createConnect(common)],
  );
  return async (request) => {
    const answer = await handle({
      httpVersion: request.httpVersion,
      method: request.method,
      url: request.url,
      header: withTimersThatHold(request),
      body: limited(request.body, requestTimeoutMs),
      signal: request.signal,
      contextValues: createContextValues().set(requestKey, request),
    });
    if (answer.status === 405) return methodNotAllowed(handle.allowedMethods);
    if (answer.status === 415) return unsupportedMediaType();
    if (answer.status === 505) return versionNotSupported();
    return toResponse(answer, request);
  };
}

/** Limits timeouts to the maximum delay of a timer. */
function withTimersThatHold(request: Request): Headers {
  const { header } = request;
  if (isTooLong(true, request.field("connect-timeout-ms"))) {
    header.set("connect-timeout-ms", String(MAX_TIMER_MS));
  }
  if (isTooLong(false, request.field("grpc-timeout"))) {
    header.set("grpc-timeout", `${Math.floor(MAX_TIMER_MS / 1_000)}S`);
  }
  return header;
}

function isTooLong(isConnect: boolean, text: string | undefined): boolean {
  return readTimeout(isConnect, text).timeoutMs === MAX_TIMER_MS;
}

function toResponse({ status, header, body, trailer }: UniversalServerResponse, request: Request) {
  const response: Response = {
    status,
    header: fromHeaders(header ?? new Headers()),
    body: body as AsyncIterable<Uint8Array> | undefined,
  };
  if (trailer === undefined) return response;
  return {
    ...response,
    trailer() {
      readableMessage(trailer);
      const code = Number(trailer.get("grpc-status") ?? 0);
      // A protocol error occurs before any interceptor runs.
      request.outcome ??= code === 0 ? "ok" : code;
      return fromHeaders(trailer);
    },
  };
}

async function* limited(body: RequestBody, silenceMs: number): AsyncGenerator<Uint8Array> {
  const chunks = body[Symbol.asyncIterator]();
  try {
    while (true) {
      const chunk = await withinTime(chunks.next(), silenceMs);
      if (chunk.done) return;
      yield chunk.value;
    }
  } finally {
    // Not awaited: with a pending read it would wait for the client.
    chunks.return?.().catch(() => {});
  }
}

function withinTime<T>(next: Promise<T>, timeoutMs: number): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const timer = setTimeout(() => reject(tooSlow()), timeoutMs);
  next.then(resolve, reject);
  return promise.finally(() => clearTimeout(timer));
}
