import { Buffer } from "node:buffer";
import type http from "node:http";
import type { Socket } from "node:net";
import process from "node:process";
import { SocketFront } from "./socket_front.ts";
import type { Turns } from "./turns.ts";

const END_OF_HEADER = Buffer.from("\r\n\r\n");
const SEAM_BYTES = END_OF_HEADER.length - 1;
const NOTHING = Buffer.alloc(0);
const LINE_FEED = 10;
const CARRIAGE_RETURN = 13;
const SPACE = 32;

/**
 * Maximum time to answer requests that arrived before the client closed its side, in milliseconds.
 */
const LINGER_MS = 1_000;
/** Maximum number of bytes held back while a request is being answered. */
const MAX_HELD_BYTES = 65_536;

const BAD_REQUEST = Buffer.from(
  "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n" +
    "Connection: close\r\n\r\n400 Bad Request: one space stands between method, target and version\n",
);

/**
 * Passes the requests of an HTTP/1 connection to node:http one at a time. A client may pipeline
 * requests (RFC 9112, section 9.3.2); they wait here as bytes, and in the buffers of the client,
 * not as parsed requests.
 *
 * node:http does the framing. It receives at most the end of one header or body at a time, and
 * its request object shows whether that request is complete.
 */
export class RequestPacer extends SocketFront {
  readonly #held: Buffer[] = [];
  #heldBytes = 0;
  /** The request that is being received or answered; undefined between requests. */
  #request: http.IncomingMessage | undefined;
  /** Its answer, until it has been sent. */
  #response: http.ServerResponse | undefined;
  #bodyBytes = 0;
  /** The last bytes before a delimiter, which may be split between two chunks. */
  #tail: Buffer = NOTHING;
  #hasEnded = false;
  #isLast = false;
  /** Whether the next byte belongs to a request line, and the byte before it. */
  #isInRequestLine = true;
  #previousByte = LINE_FEED;
  #isPumping = false;
  readonly #turns: Turns;
  readonly #idleTimeoutMs: number;
  #isIdle = false;
  /** The client has closed its side, and earlier requests of it are still to be answered. */
  #isLingering = false;
  /** The held bytes are at their maximum, so reading from the client is paused. */
  #isFull = false;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param idleTimeoutMs Timeout of a connection whose last answer was sent before the end of its
   * request, or that sends more than the pacer holds.
   */
  constructor(socket: Socket, turns: Turns, idleTimeoutMs: number) {
    super(socket);
    this.#turns = turns;
    this.#idleTimeoutMs = idleTimeoutMs;
  }

  /** Must be called with each request of node:http, synchronously. */
  begin(request: http.IncomingMessage, response: http.ServerResponse): void {
    this.#request = request;
    this.#response = response;
    this.#bodyBytes = Number(request.headers["content-length"] ?? 0);
    if (this.#isLast) response.shouldKeepAlive = false;
    const answered = () => {
      if (this.#response !== response) return;
      this.#response = undefined;
      // Further requests of the same client wait for a later turn.
      if (this.#held.length > 0) this.#turns.wait(() => this.#pump());
      else this.#pump();
    };
    response.once("finish", answered);
    response.once("close", answered);
  }

  /** Announces `Connection: close`, unless the header has been sent. */
  announceEnd(): void {
    this.#isLast = true;
    if (this.#response !== undefined) this.#response.shouldKeepAlive = false;
  }

  /**
   * Must be called when the rest of a request arrives after its answer was sent. node:http starts
   * its idle timeout at the answer, and stops it when that rest arrives.
   */
  rest(): void {
    this.#isIdle = true;
    this.setTimeout(this.#idleTimeoutMs);
  }

  protected override receive(chunk: Buffer): void {
    if (this.#isIdle) {
      this.#isIdle = false;
      this.setTimeout(0);
    }
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    this.#pump();
    if (this.#heldBytes <= MAX_HELD_BYTES) return;
    // Otherwise the end of the client would go unnoticed.
    this.socket.pause();
    if (!this.#isFull) this.#after(this.#idleTimeoutMs, () => this.destroy());
    this.#isFull = true;
  }

  /**
   * A client that has closed its side may still read. Its requests are answered, within a time
   * limit, because it may also be gone.
   */
  protected override receiveEnd(): void {
    this.#hasEnded = true;
    this.#pump();
    if (this.#held.length === 0 || this.destroyed) return;
    this.#isLingering = true;
    this.#after(LINGER_MS, () => {
      this.#held.length = 0;
      super.receiveEnd();
    });
  }

  #after(delayMs: number, action: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(action, delayMs);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    clearTimeout(this.#timer);
    super._destroy(error, done);
  }

  override _read(): void {
    if (this.#heldBytes <= MAX_HELD_BYTES) super._read();
  }

  /** Called when node:http reads again and this stream has room. */
  override read(size?: number): unknown {
    const bytes = super.read(size);
    if (bytes !== null && this.#held.length > 0) process.nextTick(() => this.#pump());
    return bytes;
  }

  #pump(): void {
    if (this.#isPumping || this.destroyed) return;
    this.#isPumping = true;
    while (this.#held.length > 0 && this.readableLength === 0 && !this.destroyed) {
      if (this.#request?.complete) {
        if (this.#response !== undefined) break;
        this.#request = undefined;
        this.#isInRequestLine = true;
        this.#previousByte = LINE_FEED;
      }
      if (this.#request === undefined && !this.#skipBlankLines()) continue;
      const part = this.#takePart();
      if (!this.#isSound(part)) return this.sayGoodbye(BAD_REQUEST);
      this.deliver(part);
    }
    this.#isPumping = false;
    if (this.#heldBytes <= MAX_HELD_BYTES && this.readableLength === 0) {
      if (this.#isFull) clearTimeout(this.#timer);
      this.#isFull = false;
      this.socket.resume();
    }
    const isAnswering = this.#isLingering && this.#response !== undefined;
    if (this.#hasEnded && this.#held.length === 0 && !isAnswering) super.receiveEnd();
  }

  /**
   * Drops empty lines before a request line, as servers should (RFC 9112, section 2.2): node:http
   * would stop the idle timeout at them.
   *
   * @returns Whether anything is left.
   */
  #skipBlankLines(): boolean {
    if (!this.#isInRequestLine || this.#previousByte !== LINE_FEED) return true;
    const first = this.#held[0]!;
    let at = 0;
    while (first[at] === LINE_FEED || first[at] === CARRIAGE_RETURN) at++;
    this.#heldBytes -= at;
    if (at === first.length) this.#held.shift();
    else if (at > 0) this.#held[0] = first.subarray(at);
    return at < first.length;
  }

  /** Takes bytes up to the end of at most one header or body. */
  #takePart(): Buffer {
    const first = this.#held[0]!;
    const length = this.#lengthOfPart(first);
    if (length < first.length) this.#held[0] = first.subarray(length);
    else this.#held.shift();
    this.#heldBytes -= length;
    return length < first.length ? first.subarray(0, length) : first;
  }

  #lengthOfPart(bytes: Buffer): number {
    if (this.#request !== undefined && this.#bodyBytes > 0) {
      const length = Math.min(this.#bodyBytes, bytes.length);
      this.#bodyBytes -= length;
      return length;
    }
    const seam = Buffer.concat([this.#tail, bytes.subarray(0, SEAM_BYTES)]);
    const torn = seam.indexOf(END_OF_HEADER);
    if (torn !== -1 && torn < this.#tail.length) {
      const length = torn + END_OF_HEADER.length - this.#tail.length;
      this.#tail = NOTHING;
      return length;
    }
    const end = bytes.indexOf(END_OF_HEADER);
    this.#tail = end !== -1
      ? NOTHING
      : Buffer.concat([this.#tail, bytes.subarray(-SEAM_BYTES)]).subarray(-SEAM_BYTES);
    return end === -1 ? bytes.length : end + END_OF_HEADER.length;
  }

  /**
   * Whether request lines have single spaces (RFC 9112, section 3); node:http also accepts several.
   */
  #isSound(part: Buffer): boolean {
    if (this.#request !== undefined) return true;
    for (let at = 0; at < part.length && this.#isInRequestLine; at++) {
      const byte = part[at]!;
      if (byte === SPACE && this.#previousByte === SPACE) return false;
      if (byte === LINE_FEED) this.#isInRequestLine = false;
      this.#previousByte = byte;
    }
    return true;
  }
}
