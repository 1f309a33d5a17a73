import { Buffer } from "node:buffer";
import process from "node:process";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";

/** What `_writev` of a Writable is given. */
interface Queued {
  readonly chunk: Buffer;
  readonly encoding: BufferEncoding;
}

/** How long a client that is cut off may take to read why, and how much it may send meanwhile. */
const LINGER_MS = 1_000;
const MAX_UNHEARD_BYTES = 262_144;

/**
 * Stands in front of an accepted socket, so that what a client sends can be looked at before the
 * HTTP server behind it parses it. Back-pressure holds in both directions, and no byte is copied on
 * its way in. What the server writes in one turn goes out in one write.
 *
 * A subclass says in {@linkcode receive} what reaches the server.
 */
export abstract class SocketFront extends Duplex {
  readonly socket: TLSSocket;
  /** Came when all connections were taken; it may only ask how this server is. */
  isReserve = false;
  /** The host of the last request, which was found to be one. */
  validHost: string | undefined;
  /** Calls in progress that ask how this server is. */
  probes = 0;
  /** An answer was given up because the client did not take it. */
  hasStalled = false;
  /** The socket stays a moment longer than this stream. */
  #isLeaving = false;

  constructor(socket: TLSSocket | import("node:net").Socket) {
    super();
    this.socket = socket as TLSSocket;
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
    socket.once("end", () => this.receiveEnd());
    socket.once("error", (error) => this.destroy(error));
    socket.once("close", () => this.destroy());
    socket.on("timeout", () => this.emit("timeout"));
    socket.pause();
  }

  /** Bytes from the client. Give what may pass to {@linkcode deliver}. */
  protected abstract receive(chunk: Buffer): void;

  /** The client has closed its side. */
  protected receiveEnd(): void {
    this.push(null);
  }

  /** Hands bytes to the server behind; the socket rests while that one does not read. */
  protected deliver(bytes: Buffer): void {
    if (!this.push(bytes)) this.socket.pause();
  }

  /**
   * Ends the connection with these last bytes. Closing with unread bytes would reset it, and they be
   * lost, so the client may go on for a moment; what it sends goes nowhere.
   */
  protected sayGoodbye(bytes: Buffer): void {
    const { socket } = this;
    this.#isLeaving = true;
    let unheard = 0;
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => {
      unheard += chunk.length;
      if (unheard > MAX_UNHEARD_BYTES) socket.destroy();
    });
    socket.end(bytes);
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once("close", () => clearTimeout(timer));
    this.destroy();
  }

  override _read(): void {
    this.socket.resume();
  }

  // deno-lint-ignore no-explicit-any -- the overloads of Writable.write
  override write(...args: any[]): boolean {
    if (this.writableCorked === 0) {
      this.cork();
      process.nextTick(uncork, this);
    }
    return super.write(...args as Parameters<Duplex["write"]>);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.socket.write(chunk, done);
  }

  override _writev(queued: Queued[], done: Done): void {
    this.socket.write(Buffer.concat(queued.map(({ chunk }) => chunk)), done);
  }

  override _final(done: Done): void {
    this.socket.end(done);
  }

  /** Closes both sides when everything has been sent; node:http does so after the last answer. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  override destroy(error?: Error): this {
    // What was written in this turn still goes out, as it would from a socket.
    while (this.writableCorked > 0) this.uncork();
    return super.destroy(error);
  }

  override _destroy(error: Error | null, done: Done): void {
    if (!this.#isLeaving) this.socket.destroy();
    done(error);
  }

  // What HTTP servers ask of a socket.

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.socket.remotePort;
  }

  get encrypted(): boolean {
    return this.socket.encrypted === true;
  }

  /** Whether TLS has found the certificate of the client to be valid. */
  get authorized(): boolean {
    return this.socket.authorized === true;
  }

  get alpnProtocol(): string | false | null {
    return this.socket.alpnProtocol;
  }

  setNoDelay(noDelay?: boolean): this {
    this.socket.setNoDelay(noDelay);
    return this;
  }

  setTimeout(timeoutMs: number, onTimeout?: () => void): this {
    this.socket.setTimeout(timeoutMs, onTimeout);
    return this;
  }
}

type Done = (error?: Error | null) => void;

function uncork(stream: Duplex): void {
  stream.uncork();
}
