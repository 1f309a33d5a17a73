import { Buffer } from "node:buffer";
import process from "node:process";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";

/** An element of the argument of `Writable._writev`. */
interface Queued {
  readonly chunk: Buffer;
  readonly encoding: BufferEncoding;
}

/**
 * Time for a client that is being disconnected to read the reason, and the bytes it may send
 * meanwhile.
 */
const LINGER_MS = 1_000;
const MAX_UNHEARD_BYTES = 262_144;

/**
 * Wraps an accepted socket, to inspect what a client sends before the HTTP server parses it.
 * Backpressure works in both directions, and incoming bytes are not copied. Everything that the
 * server writes in one turn of the event loop goes out in one write.
 *
 * A subclass decides in {@linkcode receive} which bytes reach the server.
 */
export abstract class SocketFront extends Duplex {
  readonly socket: TLSSocket;
  /** Accepted beyond the maximum number of connections; may send only probes. */
  isReserve = false;
  /** The host of the last request, known to be valid. */
  validHost: string | undefined;
  /** Number of probes in progress. */
  probes = 0;
  /** An answer was abandoned because the client did not read it. */
  hasStalled = false;
  /** Whether the socket outlives this stream for a moment. */
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

  /**
   * Called with bytes from the client. Pass those that the server may see to {@linkcode deliver}.
   */
  protected abstract receive(chunk: Buffer): void;

  /** Called when the client has closed its side. */
  protected receiveEnd(): void {
    this.push(null);
  }

  /** Passes bytes to the server; reading pauses while the server does not read. */
  protected deliver(bytes: Buffer): void {
    if (!this.push(bytes)) this.socket.pause();
  }

  /**
   * Ends the connection with these last bytes. Closing with unread bytes would reset the connection
   * and lose them, so input is read and discarded for a moment.
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

  /** Closes both sides after everything has been sent; node:http does so after the last answer. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once("finish", () => this.destroy());
  }

  override destroy(error?: Error): this {
    // What was written in this turn is still sent, as with a plain socket.
    while (this.writableCorked > 0) this.uncork();
    return super.destroy(error);
  }

  override _destroy(error: Error | null, done: Done): void {
    if (!this.#isLeaving) this.socket.destroy();
    done(error);
  }

  // Properties and methods of a socket that HTTP servers use.

  get remoteAddress(): string | undefined {
    return this.socket.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.socket.remotePort;
  }

  get encrypted(): boolean {
    return this.socket.encrypted === true;
  }

  /** Whether TLS has verified the certificate of the client. */
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
