import type { Writable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Fields, Request, RequestBody, Response } from "./handler.ts";
import type { SocketFront } from "./socket_front.ts";

/** Header fields of a request from node:http or node:http2; names are in lower case. */
export type NodeHeader = Readonly<Record<string, string | string[] | undefined>>;

/** A request target that is already in normal form and needs no parser. */
const PLAIN_TARGET =
  /^\/(?!\/)(?:[\w\-~!$&'()*+,;=:@]|\.(?!\.?(?:[/?]|$))|\/(?!\.{1,2}(?:[/?]|$)))*$/;
/** Characters that end the host in a URL (RFC 3986, section 3.2). */
const NO_HOST = /^$|[/?#@\\\s]/;

/**
 * A request and its answer on a connection: implements {@linkcode Request} and sends the
 * {@linkcode Response}. Thousands may be in progress at once, so values that can be derived are
 * computed on demand instead of stored.
 */
export abstract class Exchange implements Request {
  abstract readonly httpVersion: string;
  abstract readonly method: string;
  /** Empty if the request has no valid target or host. */
  readonly path: string;
  readonly front: SocketFront;
  outcome: Code | "ok" | undefined;
  #url: URL | undefined;
  readonly #host: string;
  readonly target: string;
  readonly #fields: NodeHeader;
  #header: Headers | undefined;
  #controller: AbortController | undefined;
  #abortReason: unknown;
  #endListeners: (() => void) | undefined;
  #wake: (() => void) | undefined;
  #isAnswered = false;
  #hasEnded = false;
  /**
   * Bytes that the client had not read at the last check, and since when that number has not
   * dropped.
   */
  #unsentBytes = 0;
  #unsentSince = 0;

  constructor(front: SocketFront, fields: NodeHeader, host: string | undefined, target: string) {
    this.front = front;
    this.#fields = fields;
    this.#host = host ?? "";
    this.target = target;
    this.path = this.#readPath();
  }

  run: Request["run"] = runHere;

  #readPath(): string {
    const query = this.target.indexOf("?");
    const path = query === -1 ? this.target : this.target.slice(0, query);
    // A client normally sends the same host on all requests of a connection.
    if (this.#host !== this.front.validHost) {
      if (NO_HOST.test(this.#host) || !URL.canParse(`http://${this.#host}`)) return "";
      this.front.validHost = this.#host;
    }
    if (PLAIN_TARGET.test(path)) return path;
    // The scheme does not affect the path.
    const base = `http://${this.#host}`;
    return URL.canParse(this.target, base) ? new URL(this.target, base).pathname : "";
  }

  get url(): string {
    const scheme = this.front.encrypted ? "https" : "http";
    this.#url ??= new URL(this.target, `${scheme}://${this.#host}`);
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
      try {
        first();
      } finally {
        listener();
      }
    };
  }

  /** Whether the answer has been sent or abandoned. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * Whether the client has read nothing of the pending answer for `timeoutMs` milliseconds. Must be
   * called repeatedly: it compares with the previous call.
   */
  isStuckFor(timeoutMs: number): boolean {
    const [before, now] = [this.#unsentBytes, performance.now()];
    this.#unsentBytes = this.unsentBytes;
    if (before === 0 || this.#unsentBytes < before) this.#unsentSince = now;
    return this.#unsentBytes > 0 && now - this.#unsentSince >= timeoutMs;
  }

  /** Ends the exchange, and reports its end even where the runtime does not. */
  giveUp(): void {
    this.cut();
    this.ended();
  }

  /** Whether the client can no longer receive an answer. */
  get #isOver(): boolean {
    return this.#hasEnded || this.isGone;
  }

  /**
   * Sends the answer, unless the client has disconnected.
   *
   * @throws What the body throws, and the error of the runtime if the client disconnects meanwhile.
   */
  async send({ status, header = {}, body, trailer }: Response): Promise<void> {
    if (body === undefined || body instanceof Uint8Array) {
      if (!this.#isOver) this.sendWhole(status, header, body, trailer);
      return;
    }
    const chunks = body[Symbol.asyncIterator]();
    try {
      // If the body fails before its first chunk, the header is not sent.
      let chunk = await chunks.next();
      if (this.#isOver) return;
      this.sendHeader(status, header, trailer);
      for (; !chunk.done && !this.#isOver; chunk = await chunks.next()) {
        if (!this.writable.write(chunk.value)) await this.#drained();
      }
      if (!this.#isOver) this.sendEnd(trailer);
    } finally {
      // Not awaited: it may wait forever, and its error no longer matters.
      Promise.resolve(chunks.return?.()).catch(() => {});
    }
  }

  /** Ends the exchange without an answer; the request has not been processed. */
  abstract refuse(): void;

  /** Aborts the exchange, before or during the answer. */
  abstract cut(): void;

  /** Whether the client can no longer be reached; may be true before the exchange ends. */
  protected abstract readonly isGone: boolean;
  /** The stream that the answer is written to. */
  protected abstract readonly writable: Writable;
  /** Number of bytes that the client has not read yet. */
  protected abstract readonly unsentBytes: number;
  protected abstract sendHeader(status: number, header: Fields, trailer: Response["trailer"]): void;
  protected abstract sendEnd(trailer: Response["trailer"]): void;
  protected abstract sendWhole(
    status: number,
    header: Fields,
    body: Uint8Array | undefined,
    trailer: Response["trailer"],
  ): void;

  /** Must be called when the whole answer has been handed to the runtime. */
  protected answered(): void {
    this.#isAnswered = true;
  }

  /** Must be called when the exchange ends, for any reason. */
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

const runHere: Request["run"] = (action) => action();

function left(): ConnectError {
  return new ConnectError("the client has disconnected", Code.Canceled);
}

function toHeaders(fields: NodeHeader): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || name.startsWith(":")) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.append(name, one);
  }
  return headers;
}
