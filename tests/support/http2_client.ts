import { Buffer } from "node:buffer";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import {
  Flag,
  frame,
  FRAME_HEADER_BYTES,
  FrameType,
  headers,
  PREFACE,
  settings,
} from "./http2_client_frames.ts";

/** What a client sends before its first request. */
export const CONNECTION_START: Buffer = Buffer.concat([
  PREFACE,
  settings(),
  frame(FrameType.SETTINGS, { flags: Flag.ACK }),
]);

/** A gRPC message: not compressed, its length, its bytes. */
export function grpcMessage(message: Uint8Array = new Uint8Array()): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Header fields of a gRPC request. */
export function grpcHeader(path: string): (readonly [name: string, value: string])[] {
  return [
    [":method", "POST"],
    [":scheme", "http"],
    [":authority", "localhost"],
    [":path", path],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ];
}

/** A whole gRPC request with an empty message. */
export function grpcCall(stream: number, path: string): Buffer {
  return Buffer.concat([
    headers(stream, grpcHeader(path)),
    frame(FrameType.DATA, { stream, flags: Flag.END_STREAM, payload: grpcMessage() }),
  ]);
}

/**
 * An HTTP/2 connection that sends exactly the bytes it is given, and counts what comes back. It is cheap: it has no flow control, and decodes no header.
 */
export class RawHttp2Client implements AsyncDisposable {
  readonly socket: net.Socket;
  /** Streams that the server has ended. */
  endedStreams = 0;
  /** Streams that the server has begun to answer. */
  answeredStreams = 0;
  /** Answers to PING: the server has read everything that was sent before. */
  pongs = 0;
  /** Frames of any type that have arrived whole. */
  frames = 0;
  #rest: Buffer = Buffer.alloc(0);
  #wake = () => {};
  readonly #closed: Promise<void>;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    // A reset is one way for a server to close.
    socket.on("error", () => {});
    this.#closed = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.once("close", () => this.#wake());
  }

  /**
   * Opens a connection to this machine; nothing is sent yet.
   *
   * @param signal Cuts the connection, also while it is being opened.
   */
  static async connect(port: number, signal?: AbortSignal): Promise<RawHttp2Client> {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
    cutOnAbort(socket, signal);
    await once(socket, "connect");
    return new RawHttp2Client(socket);
  }

  /**
   * Opens a TLS connection to this machine, which agrees on HTTP/2.
   *
   * @param ca The authority that signed the server's certificate, PEM.
   * @param signal Cuts the connection, also while it is being opened.
   */
  static async connectTls(
    port: number,
    ca: string,
    signal?: AbortSignal,
  ): Promise<RawHttp2Client> {
    const socket = tls.connect({
      port,
      host: "127.0.0.1",
      servername: "localhost",
      ca,
      ALPNProtocols: ["h2"],
    });
    cutOnAbort(socket, signal);
    await once(socket, "secureConnect");
    socket.setNoDelay(true);
    return new RawHttp2Client(socket);
  }

  /** Waits until a condition on this client holds, or the connection has closed. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition() && !this.socket.closed) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Resolves when both sides have closed. */
  closed(): Promise<void> {
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy();
    await this.#closed;
  }

  #read(chunk: Buffer): void {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= FRAME_HEADER_BYTES) {
      const length = FRAME_HEADER_BYTES + bytes.readUIntBE(0, 3);
      if (bytes.length < length) break;
      this.#count(bytes[3]!, bytes[4]!);
      bytes = bytes.subarray(length);
    }
    this.#rest = bytes;
    this.#wake();
  }

  #count(type: number, flags: number): void {
    const carriesBody = type === FrameType.HEADERS || type === FrameType.DATA;
    const ends = carriesBody && (flags & Flag.END_STREAM) !== 0;
    this.frames++;
    if (type === FrameType.PING && (flags & Flag.ACK) !== 0) this.pongs++;
    if (type === FrameType.HEADERS && !ends) this.answeredStreams++;
    if (ends || type === FrameType.RST_STREAM) this.endedStreams++;
  }
}

function cutOnAbort(socket: net.Socket, signal: AbortSignal | undefined): void {
  const cut = () => socket.destroy(new Error("The connection was cut", { cause: signal?.reason }));
  signal?.addEventListener("abort", cut);
  socket.once("close", () => signal?.removeEventListener("abort", cut));
}
