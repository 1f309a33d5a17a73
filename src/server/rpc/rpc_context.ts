import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { fromHeaders } from "../fields.ts";
import type { Fields, Request } from "../handler.ts";
import type { Wire } from "./wire.ts";

/** The context that the implementation of an RPC receives. Fields are created on first access. */
export class RpcContext implements HandlerContext {
  readonly method: DescMethod;
  readonly #request: Request;
  readonly #wire: Wire;
  readonly #endsAt: number | undefined;
  #responseHeader: Headers | undefined;
  #responseTrailer: Headers | undefined;
  #values: ContextValues | undefined;

  constructor(method: DescMethod, request: Request, wire: Wire, timeoutMs: number | undefined) {
    this.method = method;
    this.#request = request;
    this.#wire = wire;
    this.#endsAt = timeoutMs === undefined ? undefined : performance.now() + timeoutMs;
  }

  get service(): DescService {
    return this.method.parent;
  }

  get signal(): AbortSignal {
    return this.#request.signal;
  }

  readonly timeoutMs = (): number | undefined =>
    this.#endsAt === undefined ? undefined : this.#endsAt - performance.now();

  get requestMethod(): string {
    return this.#request.method;
  }

  get requestHeader(): Headers {
    return this.#request.header;
  }

  get responseHeader(): Headers {
    return this.#responseHeader ??= new Headers();
  }

  get responseTrailer(): Headers {
    return this.#responseTrailer ??= new Headers();
  }

  get protocolName(): string {
    return this.#wire.protocolName;
  }

  get values(): ContextValues {
    return this.#values ??= createContextValues();
  }

  get url(): string {
    return this.#request.url;
  }

  /** The header fields that the implementation has set so far. */
  get headerFields(): Fields | undefined {
    return this.#responseHeader && fromHeaders(this.#responseHeader);
  }

  /** Undefined if the implementation has set none. */
  get trailer(): Headers | undefined {
    return this.#responseTrailer;
  }
}
