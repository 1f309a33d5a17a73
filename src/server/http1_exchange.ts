import type http from "node:http";
import type { Fields, RequestBody, Response } from "./handler.ts";
import { Exchange } from "./exchange.ts";
import { NodeBody } from "./node_body.ts";
import type { RequestPacer } from "./request_pacer.ts";

/** Time for a client to read an answer that was sent before the end of its request. */
const LINGER_MS = 1_000;

/** A request on an HTTP/1 connection. */
export class Http1Exchange extends Exchange {
  readonly httpVersion: string;
  readonly method: string;
  readonly body: RequestBody;
  protected readonly writable: http.ServerResponse;
  readonly #request: http.IncomingMessage;
  readonly #pacer: RequestPacer;

  constructor(front: RequestPacer, request: http.IncomingMessage, response: http.ServerResponse) {
    super(front, request.headers, onlyHost(request), request.url ?? "");
    this.httpVersion = request.httpVersion;
    this.method = request.method ?? "";
    this.writable = response;
    this.#request = request;
    this.#pacer = front;
    const { headers } = request;
    const hasBody = headers["content-length"] !== undefined ||
      headers["transfer-encoding"] !== undefined;
    this.body = new NodeBody(request, !hasBody);
    request.on("error", () => {});
    response.on("error", () => {});
    response.once("finish", () => {
      this.answered();
      if (request.complete) request.resume();
      else this.#linger();
    });
    response.once("close", () => this.ended());
  }

  /** Closing a connection with unread bytes resets it, and the client may lose the answer. */
  #linger(): void {
    const front = this.#pacer;
    this.#request.resume();
    if (front.destroyed) return;
    const timer = setTimeout(() => front.destroy(), LINGER_MS);
    const keep = () => clearTimeout(timer);
    front.once("close", keep);
    // The rest of the request has arrived, so the connection can be reused.
    this.#request.once("end", () => {
      keep();
      front.off("close", keep);
      front.rest();
    });
  }

  refuse(): void {
    this.cut();
  }

  cut(): void {
    this.front.destroy();
  }

  protected get isGone(): boolean {
    return this.front.destroyed && !this.writable.writableFinished;
  }

  protected get unsentBytes(): number {
    return this.writable.writableLength + this.front.writableLength;
  }

  protected sendHeader(status: number, header: Fields): void {
    // Otherwise the header would wait for the first chunk of the body.
    this.writable.writeHead(status, header as http.OutgoingHttpHeaders);
  }

  protected sendEnd(trailer: Response["trailer"]): void {
    if (trailer !== undefined) {
      this.writable.addTrailers(trailer() as unknown as http.OutgoingHttpHeaders);
    }
    this.writable.end();
  }

  protected sendWhole(
    status: number,
    header: Fields,
    body: Uint8Array | undefined,
    trailer: Response["trailer"],
  ): void {
    this.sendHeader(status, header);
    if (body !== undefined && this.method !== "HEAD") this.writable.write(body);
    this.sendEnd(trailer);
  }
}

/** Exactly one Host field is required, except in HTTP/1.0 (RFC 9112, section 3.2). */
function onlyHost({ headers, rawHeaders, httpVersion }: http.IncomingMessage): string | undefined {
  let count = 0;
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]!.length === 4 && rawHeaders[index]!.toLowerCase() === "host") count++;
  }
  if (count === 0 && httpVersion === "1.0") return "localhost";
  return count === 1 ? headers.host : undefined;
}
