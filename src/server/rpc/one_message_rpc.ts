import { Buffer } from "node:buffer";
import { create, type DescMethodServerStreaming, type DescMethodUnary } from "@bufbuild/protobuf";
import { base64Decode } from "@bufbuild/protobuf/wire";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type MethodImplSpec } from "@connectrpc/connect";
import {
  type Compression,
  compressionNegotiate,
  createMethodSerializationLookup,
} from "@connectrpc/connect/protocol";
import type { Handler, Request, Response } from "../handler.ts";
import { fromBase64 } from "../base64.ts";
import { Answer } from "./answer.ts";
import { readTimeout } from "./deadline.ts";
import { decompress, MAX_ENVELOPE_BYTES, openEnvelope, refuseLargeEnvelope } from "./envelope.ts";
import type { CommonRpcOptions } from "./options.ts";
import { methodNotAllowed, unsupportedMediaType } from "./refusals.ts";
import { RpcContext } from "./rpc_context.ts";
import { type Wire, wireOf } from "./wire.ts";

type OneMessageSpec = Extract<
  MethodImplSpec,
  { method: DescMethodUnary | DescMethodServerStreaming }
>;

/**
 * Serves a method with a single request message over gRPC, gRPC-Web and Connect.
 *
 * The handlers of Connect serve every kind of method through a chain of asynchronous iterators,
 * which takes about 50 KB for each call in progress. Here, a call that waits for its implementation
 * is one promise. Messages are serialized by the functions of Connect.
 */
export function oneMessageRpc(spec: OneMessageSpec, options: CommonRpcOptions): Handler {
  const { method } = spec;
  const { errors, jsonOptions, maxRequestBytes, requestTimeoutMs } = options;
  const path = `/${method.parent.typeName}/${method.name}`;
  const isUnary = spec.kind === "unary";
  const allowsGet = isUnary &&
    method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS;
  const compressions = [...options.compressions];
  const serialization = createMethodSerializationLookup(method, undefined, jsonOptions, {
    readMaxBytes: maxRequestBytes,
    writeMaxBytes: 0xffff_ffff,
  });

  return (request) => {
    const isGet = request.method === "GET";
    if (isGet ? !allowsGet : request.method !== "POST") {
      return methodNotAllowed(allowsGet ? ["POST", "GET"] : ["POST"]);
    }
    const query = isGet ? new URL(request.url).searchParams : undefined;
    const wire = wireOf(request, query);
    const isOther = isUnary ? "connect-stream" : "connect-unary";
    if (wire === undefined || wire.kind === isOther) return unsupportedMediaType();
    return answer(request, wire, query);
  };

  async function answer(
    request: Request,
    wire: Wire,
    query: URLSearchParams | undefined,
  ): Promise<Response> {
    const { timeoutMs, error } = readTimeout(
      wire.protocolName === "connect",
      request.field(wire.timeout),
    );
    const context = new RpcContext(method, request, wire, timeoutMs);
    const compression = compressionNegotiate(
      compressions,
      (query ? query.get("compression") : request.field(wire.encoding)) ?? null,
      request.field(wire.acceptEncoding) ?? null,
      wire.acceptEncoding,
    );
    const reply = new Answer(wire, context, compression.response, jsonOptions);
    const failed = (reason: unknown) => errors.answer(reason, request, path);
    try {
      if (compression.error) throw compression.error;
      if (error) throw error;
      if (timeoutMs !== undefined) endAfter(timeoutMs, request);
      const bytes = query
        ? await fromQuery(query, compression.request)
        : await fromBody(request, wire, compression.request);
      const input = serialization.getI(wire.isBinary).parse(bytes);
      const { serialize } = serialization.getO(wire.isBinary);
      if (spec.kind === "unary") {
        const output = await spec.impl(input, context);
        const message = serialize(create(method.output, output));
        request.outcome = "ok";
        return await reply.message(message);
      }
      const outputs = spec.impl(input, context);
      return await reply.stream(async function* () {
        for await (const output of outputs) yield serialize(create(method.output, output));
        request.outcome = "ok";
      }, failed);
    } catch (reason) {
      return await reply.error(failed(reason));
    }
  }

  /** Source: "Unary-Get-Request" of the Connect protocol. */
  async function fromQuery(
    query: URLSearchParams,
    compression: Compression | null,
  ): Promise<Uint8Array> {
    const text = query.get("message") ?? "";
    const bytes = query.get("base64") === "1" ? decodeBase64(text) : Buffer.from(text);
    return compression ? await decompress(bytes, compression, maxRequestBytes) : bytes;
  }

  async function fromBody(
    request: Request,
    wire: Wire,
    compression: Compression | null,
  ): Promise<Uint8Array> {
    const { body } = request;
    const timeoutMs = requestTimeoutMs;
    if (wire.kind === "connect-unary") {
      const bytes = await body.bytes({ maxBytes: maxRequestBytes, timeoutMs });
      return compression ? await decompress(bytes, compression, maxRequestBytes) : bytes;
    }
    const maxBytes = maxRequestBytes + MAX_ENVELOPE_BYTES;
    const isText = wire.kind === "grpc-web-text";
    const envelope = isText
      ? fromBase64(await body.bytes({ maxBytes: Math.ceil(maxBytes / 3) * 4 + 4, timeoutMs }))
      : await body.bytes({
        maxBytes,
        timeoutMs,
        inspect: (start) => refuseLargeEnvelope(start, maxRequestBytes),
      });
    return await openEnvelope(envelope, compression, maxRequestBytes);
  }
}

function decodeBase64(text: string): Uint8Array {
  try {
    return base64Decode(text);
  } catch {
    throw new ConnectError("the query parameter message is no base64", Code.InvalidArgument);
  }
}

/** Aborts the signal of the call at its deadline. */
function endAfter(timeoutMs: number, request: Request): void {
  const timer = setTimeout(() => {
    request.abort(new ConnectError("the operation timed out", Code.DeadlineExceeded));
  }, timeoutMs);
  request.onEnd(() => clearTimeout(timer));
}
