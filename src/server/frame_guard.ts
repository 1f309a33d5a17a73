import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { setImmediate } from "node:timers";
import { SocketFront } from "./socket_front.ts";
import { Turns } from "./turns.ts";

/** Limits on the frames of one HTTP/2 connection, for {@linkcode FrameGuard}. */
export interface FrameGuardOptions {
  /**
   * Maximum frame payload, in bytes; must match SETTINGS_MAX_FRAME_SIZE of this server.
   *
   * @default 16_384
   */
  readonly maxFrameBytes?: number;
  /**
   * Maximum burst of frames that cost the client nothing.
   *
   * @default 500
   */
  readonly burst?: number;
  /**
   * Maximum sustained rate of such frames, per second. node:http2 itself allows 33 resets.
   *
   * @default 30
   */
  readonly perSecond?: number;
  /** Shares the event loop with the other connections of the server. */
  readonly turns?: Turns;
  /** Monotonic clock, in milliseconds. */
  readonly now?: () => number;
}

/** Length of a frame header, in bytes (RFC 9113, section 4.1). */
const HEADER_BYTES = 9;
/** The client connection preface (RFC 9113, section 3.4). */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

/** RFC 9113, section 6. */
const Type = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const GOAWAY_LEAST_BYTES = 8;
const PING_BYTES = 8;

/** RFC 9113, section 7. */
const ErrorCode = {
  PROTOCOL_ERROR: 1,
  FLOW_CONTROL_ERROR: 3,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  ENHANCE_YOUR_CALM: 11,
} as const;

/** Error codes with which the server resets a stream because of what the client sent. */
const PROVOKED: ReadonlySet<number> = new Set([
  ErrorCode.PROTOCOL_ERROR,
  ErrorCode.FLOW_CONTROL_ERROR,
  ErrorCode.STREAM_CLOSED,
  ErrorCode.FRAME_SIZE_ERROR,
]);

/**
 * Inspects the frame headers of an HTTP/2 client before node:http2 does (RFC 9113, section 4.1).
 * Payloads pass through without being read or copied.
 *
 * - GOAWAY is dropped: on Deno 2.9.4 to at least 2.9.6 it can abort the process
 *   (denoland/deno issue 36788). A server opens no streams, so a GOAWAY of a client requires
 *   nothing of it (RFC 9113, section 6.8); the event `leaving` reports it.
 * - An acknowledgement of a PING that was not sent is dropped, because node:http2 would close the
 *   connection.
 * - Frames that cause work at no cost for the client have a budget; a client that exceeds it is
 *   disconnected with ENHANCE_YOUR_CALM (RFC 9113, section 10.5). These are resets (CVE-2023-44487),
 *   resets that the client provokes (CVE-2025-8671), SETTINGS and PING (CVE-2019-9515,
 *   CVE-2019-9512), PRIORITY (CVE-2019-9513), empty DATA (CVE-2019-9518), CONTINUATION
 *   (CVE-2024-27316) and unknown frames. WINDOW_UPDATE does not count: a client sends it for data
 *   that it has read.
 * - A frame above the maximum size is a connection error (RFC 9113, section 4.2), and so is an
 *   invalid connection preface (section 3.4).
 */
export class FrameGuard extends SocketFront {
  readonly #maxFrameBytes: number;
  readonly #burst: number;
  readonly #perMs: number;
  readonly #now: () => number;
  #budget: number;
  #filledAt: number;

  #prefaceBytes = 0;
  /** The first bytes of an incomplete frame header. */
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  #payloadBytes = 0;
  #drops = false;
  #inFieldBlock = false;
  #lastStream = 0;
  /** PINGs of this server that the client has not acknowledged yet. */
  #openPings = 0;
  #isCutOff = false;
  readonly #turns: Turns;
  /** Data that waits for its turn. */
  #held: Buffer[] = [];
  /** Number of requests that may still start in this turn. */
  #share = 0;
  #hasEnded = false;

  constructor(socket: Socket, options: FrameGuardOptions = {}) {
    super(socket);
    // A half-closed HTTP/2 connection would stay open.
    this.allowHalfOpen = false;
    const { maxFrameBytes = 16_384, burst = 500, perSecond = 30 } = options;
    this.#maxFrameBytes = maxFrameBytes;
    this.#burst = burst;
    this.#perMs = perSecond / 1_000;
    this.#now = options.now ?? (() => performance.now());
    this.#turns = options.turns ?? new Turns();
    this.#budget = burst;
    this.#filledAt = this.#now();
  }

  protected override receive(chunk: Buffer): void {
    if (this.#held.length > 0) this.#held.push(chunk);
    else this.#readFrames(chunk);
  }

  protected override receiveEnd(): void {
    this.#hasEnded = true;
    if (this.#held.length === 0) super.receiveEnd();
  }

  override _read(): void {
    if (this.#held.length === 0) super._read();
  }

  /** Keeps the rest of a chunk for a later turn. */
  #hold(rest: Buffer): void {
    this.#held.unshift(rest);
    this.socket.pause();
    this.#turns.wait((share) => {
      const held = this.#held;
      if (this.destroyed) return;
      this.#held = [];
      this.#share = share;
      for (const [index, chunk] of held.entries()) {
        this.#readFrames(chunk);
        if (this.#held.length === 0) continue;
        this.#held.push(...held.slice(index + 1));
        break;
      }
      this.#share = 0;
      if (this.#held.length > 0) return;
      if (this.#hasEnded) super.receiveEnd();
      else if (this.readableLength === 0) this.socket.resume();
    });
  }

  /** Whether the frame header at `at` starts a request for which this turn has no room. */
  #mustWait(bytes: Buffer, at: number): boolean {
    if (bytes[at + 3] !== Type.HEADERS) return false;
    if (this.#share === 0) return !this.#turns.take();
    this.#share--;
    return false;
  }

  #readFrames(chunk: Buffer): void {
    // Start of the data that was read but not delivered; a dropped frame splits it.
    let from = 0;
    let at = this.#skipPreface(chunk);
    while (at < chunk.length && !this.#isCutOff) {
      if (this.#payloadBytes > 0) {
        const length = Math.min(this.#payloadBytes, chunk.length - at);
        at += length;
        this.#payloadBytes -= length;
        if (this.#drops) from = at;
      } else if (this.#headerBytes === 0 && chunk.length - at >= HEADER_BYTES) {
        if (this.#mustWait(chunk, at)) {
          this.#deliverPart(chunk, from, at);
          return this.#hold(chunk.subarray(at));
        }
        this.#begin(chunk, at);
        if (this.#drops) {
          this.#deliverPart(chunk, from, at);
          from = at + HEADER_BYTES;
        }
        at += HEADER_BYTES;
      } else {
        // A header that is split between two chunks is held back until it is complete.
        this.#deliverPart(chunk, from, at);
        const length = Math.min(HEADER_BYTES - this.#headerBytes, chunk.length - at);
        chunk.copy(this.#header, this.#headerBytes, at, at + length);
        this.#headerBytes += length;
        from = at += length;
        if (this.#headerBytes < HEADER_BYTES) continue;
        this.#headerBytes = 0;
        this.#begin(this.#header, 0);
        if (!this.#drops) this.#deliverPart(Buffer.from(this.#header), 0, HEADER_BYTES);
      }
    }
    this.#deliverPart(chunk, from, at);
  }

  #deliverPart(chunk: Buffer, from: number, to: number): void {
    if (from === to || this.#isCutOff) return;
    this.deliver(from === 0 && to === chunk.length ? chunk : chunk.subarray(from, to));
  }

  /** Returns the offset of the first frame. */
  #skipPreface(chunk: Buffer): number {
    if (this.#prefaceBytes === PREFACE.length) return 0;
    const length = Math.min(PREFACE.length - this.#prefaceBytes, chunk.length);
    const expected = PREFACE.subarray(this.#prefaceBytes, this.#prefaceBytes + length);
    if (chunk.compare(expected, 0, length, 0, length) !== 0) this.#cutOff(ErrorCode.PROTOCOL_ERROR);
    this.#prefaceBytes += length;
    return length;
  }

  /** Checks the frame whose header is at `at`. */
  #begin(bytes: Buffer, at: number): void {
    const length = bytes.readUIntBE(at, 3);
    const type = bytes[at + 3]!;
    const flags = bytes[at + 4]!;
    this.#payloadBytes = length;
    this.#drops = type === Type.GOAWAY;
    if (length > this.#maxFrameBytes) return this.#cutOff(ErrorCode.FRAME_SIZE_ERROR);
    switch (type) {
      case Type.HEADERS:
        this.#lastStream = bytes.readUInt32BE(at + 5) & 0x7fff_ffff;
        this.#inFieldBlock = (flags & END_HEADERS) === 0;
        return;
      case Type.CONTINUATION:
        this.#inFieldBlock = (flags & END_HEADERS) === 0;
        return this.#spend();
      case Type.DATA:
        return length === 0 && (flags & END_STREAM) === 0 ? this.#spend() : undefined;
      case Type.WINDOW_UPDATE:
        return;
      case Type.PING:
        if ((flags & ACK) === 0 || length !== PING_BYTES) return this.#spend();
        // node:http2 would close the connection for an unexpected acknowledgement.
        if (this.#openPings > 0) this.#openPings--;
        else this.#drops = true;
        return this.#spend();
      case Type.GOAWAY:
        return this.#leave(length, bytes.readUInt32BE(at + 5));
      default:
        return this.#spend();
    }
  }

  /** Validates a GOAWAY, which node:http2 does not see. */
  #leave(length: number, stream: number): void {
    if (stream !== 0 || this.#inFieldBlock) return this.#cutOff(ErrorCode.PROTOCOL_ERROR);
    if (length < GOAWAY_LEAST_BYTES) return this.#cutOff(ErrorCode.FRAME_SIZE_ERROR);
    this.#spend();
    // Only after the HTTP server has processed what came before.
    setImmediate(() => this.emit("leaving"));
  }

  #spend(): void {
    const now = this.#now();
    const refill = (now - this.#filledAt) * this.#perMs;
    this.#budget = Math.min(this.#burst, this.#budget + refill) - 1;
    this.#filledAt = now;
    if (this.#budget < 0) this.#cutOff(ErrorCode.ENHANCE_YOUR_CALM);
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void) {
    this.#see(chunk);
    super._write(chunk, encoding, done);
  }

  override _writev(
    queued: { chunk: Buffer; encoding: BufferEncoding }[],
    done: (error?: Error | null) => void,
  ): void {
    for (const { chunk } of queued) this.#see(chunk);
    super._writev(queued, done);
  }

  /** Inspects the frames that this server sends; node:http2 writes each frame separately. */
  #see(frame: Buffer): void {
    const { length } = frame;
    if (length === HEADER_BYTES + PING_BYTES && frame[3] === Type.PING) {
      if ((frame[4]! & ACK) === 0) this.#openPings++;
    } else if (length === HEADER_BYTES + 4 && frame[3] === Type.RST_STREAM) {
      if (PROVOKED.has(frame.readUInt32BE(HEADER_BYTES))) this.#spend();
    }
  }

  /** Ends the connection with GOAWAY (RFC 9113, section 5.4.1). */
  #cutOff(code: number): void {
    if (this.#isCutOff) return;
    this.#isCutOff = true;
    const goaway = Buffer.alloc(HEADER_BYTES + GOAWAY_LEAST_BYTES);
    goaway[2] = GOAWAY_LEAST_BYTES;
    goaway[3] = Type.GOAWAY;
    goaway.writeUInt32BE(this.#lastStream, HEADER_BYTES);
    goaway.writeUInt32BE(code, HEADER_BYTES + 4);
    this.sayGoodbye(goaway);
  }
}
