import { setTimeout as delay } from "node:timers/promises";
import {
  create,
  createRegistry,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import { type Any, anyPack } from "@bufbuild/protobuf/wkt";
import {
  type Code,
  ConnectError,
  type ConnectRouter,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import {
  BidiStreamRequestSchema,
  ClientStreamRequestSchema,
  ConformancePayload_ConnectGetInfoSchema,
  type ConformancePayload_RequestInfo,
  ConformancePayload_RequestInfoSchema,
  type ConformancePayloadSchema,
  ConformanceService,
  type Error as ErrorDefinition,
  file_connectrpc_conformance_v1_service,
  type Header,
  HeaderSchema,
  IdempotentUnaryRequestSchema,
  ServerStreamRequestSchema,
  type StreamResponseDefinition,
  UnaryRequestSchema,
  type UnaryResponseDefinition,
} from "./gen/connectrpc/conformance/v1/service_pb.ts";

type Payload = MessageInitShape<typeof ConformancePayloadSchema>;

/**
 * Registers `connectrpc.conformance.v1.ConformanceService`: every request says how to answer it, and
 * the answer tells what has arrived. Its contract is in the comments of `service.proto`.
 */
export function conformanceRoutes(router: ConnectRouter): void {
  router.service(ConformanceService, implementation, {
    // The answers have the requests in them as google.protobuf.Any, and JSON must know their types.
    jsonOptions: { registry: createRegistry(file_connectrpc_conformance_v1_service) },
  });
}

// Without the method Unimplemented: the library must answer it.
const implementation: Partial<ServiceImpl<typeof ConformanceService>> = {
  async unary(request, context) {
    const requests = [anyPack(UnaryRequestSchema, request)];
    return { payload: await answerOnce(request.responseDefinition, requests, context) };
  },

  async idempotentUnary(request, context) {
    const requests = [anyPack(IdempotentUnaryRequestSchema, request)];
    return { payload: await answerOnce(request.responseDefinition, requests, context) };
  },

  async clientStream(stream, context) {
    const { first, packed } = await collect(ClientStreamRequestSchema, stream);
    return { payload: await answerOnce(first?.responseDefinition, packed, context) };
  },

  async *serverStream(request, context) {
    const definition = request.responseDefinition;
    if (definition === undefined) return;
    const answers = new Answers(definition, context);
    yield* answers.remaining([anyPack(ServerStreamRequestSchema, request)]);
  },

  async *bidiStream(stream, context) {
    let answers: Answers | undefined;
    let isFullDuplex = false;
    let isFirst = true;
    let unanswered: Any[] = [];
    for await (const request of stream) {
      unanswered.push(anyPack(BidiStreamRequestSchema, request));
      if (isFirst) {
        isFirst = false;
        isFullDuplex = request.fullDuplex;
        const definition = request.responseDefinition;
        answers = definition && new Answers(definition, context);
      }
      if (!isFullDuplex) continue;
      if (answers === undefined || answers.areSent) break;
      yield await answers.next(unanswered);
      unanswered = [];
    }
    if (answers !== undefined) yield* answers.remaining(unanswered);
  },
};

/** Reads a stream to its end. */
async function collect<Desc extends DescMessage>(
  schema: Desc,
  stream: AsyncIterable<MessageShape<Desc>>,
): Promise<{ first: MessageShape<Desc> | undefined; packed: Any[] }> {
  let first: MessageShape<Desc> | undefined;
  const packed: Any[] = [];
  for await (const request of stream) {
    first ??= request;
    packed.push(anyPack(schema, request));
  }
  return { first, packed };
}

/** The one answer of a unary or client-streaming call. */
async function answerOnce(
  definition: UnaryResponseDefinition | undefined,
  requests: readonly Any[],
  context: HandlerContext,
): Promise<Payload> {
  const requestInfo = infoOf(requests, context);
  if (definition === undefined) return { requestInfo };
  append(context.responseHeader, definition.responseHeaders);
  append(context.responseTrailer, definition.responseTrailers);
  await pause(definition.responseDelayMs, context.signal);
  const { response } = definition;
  if (response.case === "error") throw toConnectError(response.value, requestInfo);
  return response.case === undefined ? { requestInfo } : { requestInfo, data: response.value };
}

/** The answers of a stream, in their order. */
class Answers {
  readonly #definition: StreamResponseDefinition;
  readonly #context: HandlerContext;
  #sent = 0;

  /** Sets the header and the trailer of the stream. */
  constructor(definition: StreamResponseDefinition, context: HandlerContext) {
    this.#definition = definition;
    this.#context = context;
    append(context.responseHeader, definition.responseHeaders);
    append(context.responseTrailer, definition.responseTrailers);
  }

  get areSent(): boolean {
    return this.#sent >= this.#definition.responseData.length;
  }

  /** @param requests What has come since the last answer. */
  async next(requests: readonly Any[]): Promise<{ payload: Payload }> {
    await pause(this.#definition.responseDelayMs, this.#context.signal);
    const data = this.#definition.responseData[this.#sent++]!;
    if (this.#sent === 1) {
      return { payload: { data, requestInfo: infoOf(requests, this.#context) } };
    }
    return {
      payload: requests.length > 0 ? { data, requestInfo: withRequests(requests) } : { data },
    };
  }

  /** Those that have not been sent; the first of them reports the requests. Then the error. */
  async *remaining(requests: readonly Any[]): AsyncGenerator<{ payload: Payload }> {
    const isSilent = this.#definition.responseData.length === 0;
    while (!this.areSent) {
      yield await this.next(requests);
      requests = [];
    }
    const { error } = this.#definition;
    if (error) throw toConnectError(error, isSilent ? infoOf(requests, this.#context) : undefined);
  }
}

function infoOf(
  requests: readonly Any[],
  { requestHeader, requestMethod, timeoutMs, url }: HandlerContext,
): ConformancePayload_RequestInfo {
  const timeout = timeoutMs();
  const info = withRequests(requests);
  info.requestHeaders = [...requestHeader].map(toHeader);
  if (timeout !== undefined) info.timeoutMs = BigInt(Math.floor(timeout));
  if (requestMethod !== "GET") return info;
  const queryParams = [...new URL(url).searchParams].map(toHeader);
  info.connectGetInfo = create(ConformancePayload_ConnectGetInfoSchema, { queryParams });
  return info;
}

function withRequests(requests: readonly Any[]): ConformancePayload_RequestInfo {
  return create(ConformancePayload_RequestInfoSchema, { requests: [...requests] });
}

/** @param info What to tell when no message has told it. */
function toConnectError(
  { code, message, details }: ErrorDefinition,
  info?: ConformancePayload_RequestInfo,
): ConnectError {
  const error = new ConnectError(message ?? "", code as number as Code);
  error.details = details.map(({ typeUrl, value }) => ({
    type: typeUrl.slice(typeUrl.lastIndexOf("/") + 1),
    value,
  }));
  if (info) error.details.push({ desc: ConformancePayload_RequestInfoSchema, value: info });
  return error;
}

function toHeader([name, value]: readonly [string, string]): Header {
  return create(HeaderSchema, { name, value: [value] });
}

function append(target: Headers, headers: readonly Header[]): void {
  for (const { name, value } of headers) for (const one of value) target.append(name, one);
}

async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  if (durationMs === 0) return;
  await delay(durationMs, undefined, { signal }).catch(() => signal.throwIfAborted());
}
