import type { Writable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Fields, Request, RequestBody, Response } from "./handler.ts";
import type { SocketFront } from "./socket_front.ts";

/** Header fields of a request as node:http and node:http2 give them; names are in lower case. */
export type NodeHeader = Readonly<Record<string, string | string[] | undefined>>;

/** A target that needs no parser to be in normal form. */
const PLAIN_TARGET =
  /^\/(?!\/)(?:[\w\-~!$&'()*+,;=:@]|\.(?!\.?(?:[/?]|$))|\/(?!\.{1,2}(?:[/?]|$)))*$/;
/** A host, with or without a port, that needs no parser to be valid. */
const PLAIN_HOST = /^[\w.-]+(?::\d{1,5})?$/;
/** What ends a host in a URL (RFC 3986, section 3.2). */
const NO_HOST = /^$|[/?#@\\\s]/;

/**
 * One request and its answer on a connection: what {@linkcode Request} is made of, and how the
 * {@linkcode Response} goes out. Thousands may wait at once, so nothing is kept here that can be made
 * when it is asked for.
 */
export abstract class Exchange implements Request {
  abstract readonly httpVersion: string;
  abstract readonly method: string;
  /** Empty when the request has no valid target or host. */
  readonly path: string;
  readonly front: SocketFront;
  outcome: Code | "ok" | undefined;
  #url: URL | undefined;
  readonly #host: string;
  readonly #target: string;
  readonly #fields: NodeHeader;
  #header: Headers | undefined;
  #controller: AbortController | undefined;
  #abortReason: unknown;
  #endListeners: (() => void) | undefined;
  #wake: (() => void) | undefined;
  #isAnswered = false;
  #hasEnded = false;
  /** When the answer last went on, in monotonic milliseconds. */
  #wroteAt = 0;

  constructor(front: SocketFront, fields: NodeHeader, host: string | undefined, target: string) {
    this.front = front;
    this.#fields = fields;
    this.#host = host ?? "";
    this.#target = target;
    this.path = this.#readPath();
  }

  run: Request["run"] = (action) => action();

  #readPath(): string {
    const query = this.#target.indexOf("?");
    const path = query === -1 ? this.#target : this.#target.slice(0, query);
    if (PLAIN_TARGET.test(path) && PLAIN_HOST.test(this.#host)) return path;
    // The scheme does not matter for the path.
    return NO_HOST.test(this.#host)
      ? ""
      : URL.parse(this.#target, `http://${this.#host}`)?.pathname ?? "";
  }

  get url(): string {
    const scheme = this.front.encrypted ? "https" : "http";
    this.#url ??= new URL(this.#target, `${scheme}://${this.#host}`);
    return this.#url.href;
  }

  get peer(): string {
    const { remoteAddress, remotePort } = this.front;
    return remoteAddress === undefined ? "" : `${remoteAddress}:${remotePort}`;
  }

  get hasClientCertificate(): boolean {
    return this.front.authorized;
  }

  field(name: string): string | undefined {
    const value = this.#fields[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  get header(): Headers {
    return this.#header ??= toHeaders(this.#fields);
  }

  abstract readonly body: RequestBody;

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
      else if (this.hasLeft) this.#controller.abort(left());
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    this.#abortReason ??= reason;
    this.#controller?.abort(reason);
  }

  get hasLeft(): boolean {
    return !this.#isAnswered && (this.#hasEnded || this.isGone);
  }

  onEnd(listener: () => void): void {
    if (this.#hasEnded) return listener();
    const first = this.#endListeners;
    this.#endListeners = first === undefined ? listener : () => {
      first();
      listener();
    };
  }

  /** Whether the answer has been sent or given up. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Whether a part of the answer has been waiting for the client since `before`. */
  isStuckSince(before: number): boolean {
    return this.#wroteAt > 0 && this.#wroteAt < before && this.unsentBytes > 0;
  }

  /** Whether all of the answer has been written, though the client may not have taken it yet. */
  get isWritten(): boolean {
    return this.writable.writableEnded;
  }

  /** Sends the answer. Never fails: a client that cannot be told any more is no error. */
  async send({ status, header = {}, body, trailer }: Response): Promise<void> {
    if (body === undefined || body instanceof Uint8Array) {
      if (!this.#hasEnded) this.sendWhole(status, header, body, trailer);
      this.#wroteAt = performance.now();
      return;
    }
    const chunks = body[Symbol.asyncIterator]();
    try {
      // The header may still change until there is a first chunk.
      let chunk = await chunks.next();
      if (this.#hasEnded) return;
      this.sendHeader(status, header, trailer);
      for (; !chunk.done && !this.#hasEnded; chunk = await chunks.next()) {
        this.#wroteAt = performance.now();
        if (!this.writable.write(chunk.value)) await this.#drained();
      }
      if (!this.#hasEnded) this.sendEnd(trailer);
      this.#wroteAt = performance.now();
    } finally {
      // Not awaited: it may hang on what nobody wants any more, and its failure is nobody's.
      Promise.resolve(chunks.return?.()).catch(() => {});
    }
  }

  /** Ends the exchange without an answer; nothing has been done. */
  abstract refuse(): void;

  /** Ends the exchange without an answer, or in the middle of it. */
  abstract cut(): void;

  /** Whether nothing reaches the client any more; known before the end of the exchange. */
  protected abstract readonly isGone: boolean;
  /** Where the answer goes. */
  protected abstract readonly writable: Writable;
  /** What the client has not taken yet. */
  protected abstract readonly unsentBytes: number;
  protected abstract sendHeader(status: number, header: Fields, trailer: Response["trailer"]): void;
  protected abstract sendEnd(trailer: Response["trailer"]): void;
  protected abstract sendWhole(
    status: number,
    header: Fields,
    body: Uint8Array | undefined,
    trailer: Response["trailer"],
  ): void;

  /** To be called when all of the answer has been handed over. */
  protected answered(): void {
    this.#isAnswered = true;
  }

  /** To be called at the end, whatever it was. */
  protected ended(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.hasLeft && this.#abortReason === undefined) this.#controller?.abort(left());
    this.#wake?.();
    this.#endListeners?.();
    this.#endListeners = undefined;
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.writable.off("drain", wake);
        this.#wake = undefined;
        resolve();
      };
      this.#wake = wake;
      this.writable.once("drain", wake);
    });
  }
}

function left(): ConnectError {
  return new ConnectError("the client has left", Code.Canceled);
}

function toHeaders(fields: NodeHeader): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
  }
  return headers;
}
