import type http2 from "node:http2";
import type { Fields, RequestBody, Response } from "./handler.ts";
import { Exchange } from "./exchange.ts";
import { NodeBody } from "./node_body.ts";
import type { SocketFront } from "./socket_front.ts";

/** RFC 9113, section 7. */
const NO_ERROR = 0;
const INTERNAL_ERROR = 2;
const REFUSED_STREAM = 7;

/** Interval at which to check whether an answer has been sent, before its request is reset. */
const DROP_RETRY_MS = 5;
/** Maximum time for a reset stream to end. */
const DROP_TIMEOUT_MS = 100;

/** A request on a stream of an HTTP/2 connection. */
export class Http2Exchange extends Exchange {
  readonly httpVersion = "2.0";
  readonly method: string;
  protected readonly writable: http2.ServerHttp2Stream;
  readonly #hasBody: boolean;
  #body: RequestBody | undefined;

  constructor(
    front: SocketFront,
    stream: http2.ServerHttp2Stream,
    header: http2.IncomingHttpHeaders,
    hasBody: boolean,
  ) {
    super(front, header, header[":authority"] ?? header.host, header[":path"] ?? "");
    this.method = header[":method"] ?? "";
    this.writable = stream;
    // An aborted stream with unread bytes would otherwise wait for a reader and never close.
    stream.once("aborted", () => stream.destroy());
    stream.once("close", () => {
      if (stream.writableFinished && stream.rstCode === NO_ERROR) this.answered();
      this.ended();
    });
    this.#hasBody = hasBody;
    if (header.expect === "100-continue") stream.additionalHeaders({ ":status": 100 });
  }

  get body(): RequestBody {
    return this.#body ??= new NodeBody(this.writable, !this.#hasBody);
  }

  /**
   * Reports that the request was not processed, so that the client may retry (RFC 9113, section
   * 8.7).
   */
  refuse(): void {
    this.writable.close(REFUSED_STREAM);
  }

  cut(): void {
    const stream = this.writable;
    if (stream.closed) stream.destroy();
    else stream.close(INTERNAL_ERROR);
    stream.resume();
  }

  protected get isGone(): boolean {
    const { aborted, destroyed, closed, writableFinished } = this.writable;
    return aborted || ((destroyed || closed) && !writableFinished);
  }

  protected get unsentBytes(): number {
    const { writableLength, writableEnded, writableFinished } = this.writable;
    return writableLength + (writableEnded && !writableFinished ? 1 : 0);
  }

  protected sendHeader(status: number, header: Fields, trailer: Response["trailer"]): void {
    const stream = this.writable;
    stream.respond({ ":status": status, ...header } as http2.OutgoingHttpHeaders, {
      waitForTrailers: trailer !== undefined,
    });
    if (trailer === undefined) {
      if (this.#hasBody) stream.once("finish", () => this.#dropRequest());
      return;
    }
    stream.once("wantTrailers", () => {
      stream.sendTrailers(trailer() as http2.OutgoingHttpHeaders);
      if (this.#hasBody) this.#dropRequest();
    });
  }

  /**
   * An answer can end before its request. The rest of the request is then useless, and the client
   * need not send it (RFC 9113, section 8.1).
   */
  #dropRequest(): void {
    const stream = this.writable;
    if (stream.destroyed || stream.readableEnded) return;
    // A reset would overtake data that is still to be sent.
    const hasGoneOut = stream.state.localClose === 1;
    if (hasGoneOut) stream.close(NO_ERROR);
    // The reader of the request may have stopped; unread bytes would keep the stream open.
    const timer = setTimeout(
      () => hasGoneOut ? stream.destroy() : this.#dropRequest(),
      hasGoneOut ? DROP_TIMEOUT_MS : DROP_RETRY_MS,
    );
    this.onEnd(() => clearTimeout(timer));
  }

  protected sendEnd(): void {
    this.writable.end();
  }

  protected sendWhole(
    status: number,
    header: Fields,
    body: Uint8Array | undefined,
    trailer: Response["trailer"],
  ): void {
    if (body === undefined && trailer === undefined) {
      this.writable.respond({ ":status": status, ...header } as http2.OutgoingHttpHeaders, {
        endStream: true,
      });
      if (this.#hasBody) this.#dropRequest();
      return;
    }
    this.sendHeader(status, header, trailer);
    // node:http2 itself ends the answer to a HEAD request.
    if (this.method !== "HEAD") this.writable.end(body);
  }
}
