import type { Writable } from "node:stream";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Fields, Request, RequestBody, Response } from "./handler.ts";
import type { SocketFront } from "./socket_front.ts";

/** Header fields of a request as node:http and node:http2 give them; names are in lower case. */
export type NodeHeader = Readonly<Record<string, string | string[] | undefined>>;

/** A target that needs no parser to be in normal form. */
const PLAIN_TARGET =
  /^\/(?!\/)(?:[\w\-~!$&'()*+,;=:@]|\.(?!\.?(?:[/?]|$))|\/(?!\.{1,2}(?:[/?]|$)))*$/;
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
  readonly target: string;
  readonly #fields: NodeHeader;
  #header: Headers | undefined;
  #controller: AbortController | undefined;
  #abortReason: unknown;
  #endListeners: (() => void) | undefined;
  #wake: (() => void) | undefined;
  #isAnswered = false;
  #hasEnded = false;
  /** What the client had not taken yet at the last look, and since when that is not less. */
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
    // A client asks for one host on all of a connection.
    if (this.#host !== this.front.validHost) {
      if (NO_HOST.test(this.#host) || !URL.canParse(`http://${this.#host}`)) return "";
      this.front.validHost = this.#host;
    }
    if (PLAIN_TARGET.test(path)) return path;
    // The scheme does not matter for the path.
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

  /** Whether the answer has been sent or given up. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * Whether the client has taken nothing of what waits for it for so long, in milliseconds. It is
   * known by looking again and again.
   */
  isStuckFor(timeoutMs: number): boolean {
    const [before, now] = [this.#unsentBytes, performance.now()];
    this.#unsentBytes = this.unsentBytes;
    if (before === 0 || this.#unsentBytes < before) this.#unsentSince = now;
    return this.#unsentBytes > 0 && now - this.#unsentSince >= timeoutMs;
  }

  /** Ends the exchange for everybody, also where the runtime would not notice. */
  giveUp(): void {
    this.cut();
    this.ended();
  }

  /** Whether nobody is there to be answered. */
  get #isOver(): boolean {
    return this.#hasEnded || this.isGone;
  }

  /**
   * Sends the answer, to whoever is still there.
   *
   * @throws What the body throws, and what the runtime says of a client that leaves meanwhile.
   */
  async send({ status, header = {}, body, trailer }: Response): Promise<void> {
    if (body === undefined || body instanceof Uint8Array) {
      if (!this.#isOver) this.sendWhole(status, header, body, trailer);
      return;
    }
    const chunks = body[Symbol.asyncIterator]();
    try {
      // A body that fails before it has begun leaves the header unsent.
      let chunk = await chunks.next();
      if (this.#isOver) return;
      this.sendHeader(status, header, trailer);
      for (; !chunk.done && !this.#isOver; chunk = await chunks.next()) {
        if (!this.writable.write(chunk.value)) await this.#drained();
      }
      if (!this.#isOver) this.sendEnd(trailer);
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

const runHere: Request["run"] = (action) => action();

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
