import { Buffer } from "node:buffer";
import type { ConnectError } from "@connectrpc/connect";
import {
  compressedFlag,
  type Compression,
  encodeEnvelope,
  mergeNonProtocolHeaders,
} from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  endStreamFlag,
  endStreamToJson,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { trailerFlag, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import { toBase64 } from "../base64.ts";
import { grpcStatus } from "../error_answer.ts";
import { fromHeaders } from "../fields.ts";
import type { Fields, Response } from "../handler.ts";
import type { CommonRpcOptions } from "./options.ts";
import type { RpcContext } from "./rpc_context.ts";
import type { Wire } from "./wire.ts";

/** Below this size, in bytes, compression costs more than it saves. */
const COMPRESS_MIN_BYTES = 1_024;

const STATUS_OK: Fields = { "grpc-status": "0" };

/** Answers one call in its protocol: with one message, a stream of messages, or an error. */
export class Answer {
  readonly #wire: Wire;
  readonly #context: RpcContext;
  readonly #compression: Compression | null;
  readonly #jsonOptions: CommonRpcOptions["jsonOptions"];

  constructor(
    wire: Wire,
    context: RpcContext,
    compression: Compression | null,
    jsonOptions: CommonRpcOptions["jsonOptions"],
  ) {
    this.#wire = wire;
    this.#context = context;
    this.#compression = compression;
    this.#jsonOptions = jsonOptions;
  }

  /** Sends the one message of a unary method. */
  async message(bytes: Uint8Array): Promise<Response> {
    if (this.#wire.kind === "connect-unary") return await this.#whole(200, bytes);
    const envelope = await this.#envelope(bytes);
    const end = this.#end(undefined);
    const body = end === undefined ? envelope : Buffer.concat([envelope, end]);
    return this.#response(this.#encoded(body), () => this.#trailer(undefined));
  }

  /**
   * Sends messages as they come; `failed` maps an error of the stream to the error for the client.
   */
  async stream(
    messages: () => AsyncGenerator<Uint8Array>,
    failed: (reason: unknown) => ConnectError,
  ): Promise<Response> {
    let error: ConnectError | undefined;
    const chunks = this.#chunks(messages(), (reason) => error = failed(reason));
    // The implementation may set header fields until its first message.
    const first = await chunks.next();
    return this.#response(startingWith(first, chunks), () => this.#trailer(error));
  }

  async error(error: ConnectError): Promise<Response> {
    if (this.#wire.kind === "connect-unary") {
      const header = new Headers(this.#context.responseHeader);
      if (!isFromTheWire(error)) mergeNonProtocolHeaders(header, error.metadata);
      const body = errorToJsonBytes(error, this.#jsonOptions);
      return await this.#whole(codeToHttpStatus(error.code), body, {
        ...fromHeaders(header),
        "content-type": "application/json",
      });
    }
    const end = this.#end(error);
    return this.#response(end && this.#encoded(end), () => this.#trailer(error));
  }

  async *#chunks(
    messages: AsyncGenerator<Uint8Array>,
    failed: (reason: unknown) => ConnectError,
  ): AsyncGenerator<Uint8Array, void> {
    let error: ConnectError | undefined;
    try {
      for await (const message of messages) yield this.#encoded(await this.#envelope(message));
    } catch (reason) {
      error = failed(reason);
    }
    const end = this.#end(error);
    if (end !== undefined) yield this.#encoded(end);
  }

  #response(body: Response["body"], trailer: () => Fields): Response {
    const { contentType, encoding, kind } = this.#wire;
    return {
      status: 200,
      header: {
        ...this.#context.headerFields,
        "content-type": contentType,
        ...(this.#compression && { [encoding]: this.#compression.name }),
      },
      body,
      trailer: kind === "grpc" ? trailer : undefined,
    };
  }

  /** Fields of a unary Connect call, in which trailer fields have a prefix. */
  async #whole(status: number, bytes: Uint8Array, header?: Fields): Promise<Response> {
    const isCompressed = this.#compression !== null && bytes.length >= COMPRESS_MIN_BYTES;
    const body = isCompressed ? await this.#compression.compress(bytes) : bytes;
    const { trailer } = this.#context;
    return {
      status,
      header: {
        ...this.#context.headerFields,
        ...(trailer && withPrefix("trailer-", fromHeaders(trailer))),
        "content-type": this.#wire.contentType,
        ...header,
        ...(isCompressed && { "content-encoding": this.#compression.name }),
        "content-length": String(body.length),
      },
      body,
    };
  }

  async #envelope(bytes: Uint8Array): Promise<Uint8Array> {
    if (this.#compression === null || bytes.length < COMPRESS_MIN_BYTES) {
      return encodeEnvelope(0, bytes);
    }
    return encodeEnvelope(compressedFlag, await this.#compression.compress(bytes));
  }

  /** The trailer in the body, for protocols other than gRPC, which has HTTP trailers. */
  #end(error: ConnectError | undefined): Uint8Array | undefined {
    const trailer = this.#context.trailer ?? new Headers();
    switch (this.#wire.kind) {
      case "grpc-web":
      case "grpc-web-text":
        return encodeEnvelope(trailerFlag, trailerSerialize(grpcStatus(error, trailer)));
      case "connect-stream": {
        const end = endStreamToJson(trailer, error, this.#jsonOptions);
        return encodeEnvelope(endStreamFlag, Buffer.from(JSON.stringify(end)));
      }
    }
    return undefined;
  }

  #trailer(error: ConnectError | undefined): Fields {
    const { trailer } = this.#context;
    if (error === undefined && trailer === undefined) return STATUS_OK;
    return fromHeaders(grpcStatus(error, trailer));
  }

  #encoded(bytes: Uint8Array): Uint8Array {
    return this.#wire.kind === "grpc-web-text" ? toBase64(bytes) : bytes;
  }
}

/** Yields an element that has already been read, then the rest. */
function startingWith<T>(
  first: IteratorResult<T, void>,
  rest: AsyncGenerator<T, void>,
): AsyncIterable<T> {
  let next: IteratorResult<T, void> | undefined = first;
  const iterator: AsyncIterator<T, void> = {
    next() {
      if (next === undefined) return rest.next();
      const result = Promise.resolve(next);
      next = undefined;
      return result;
    },
    return: () => rest.return(),
  };
  return { [Symbol.asyncIterator]: () => iterator };
}

/** Whether the error came from another server, whose header fields are not forwarded. */
function isFromTheWire(error: ConnectError): boolean {
  return (error as { readonly isWireError?: boolean }).isWireError === true;
}

function withPrefix(prefix: string, fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [`${prefix}${name}`, value]),
  );
}
