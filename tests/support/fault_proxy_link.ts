import type { Buffer } from "node:buffer";
import type net from "node:net";
import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { abortable } from "../../src/time.ts";
import type { Ending, Passage } from "./fault_proxy_cut.ts";
import { Conversation, type Direction } from "./fault_proxy_messages.ts";

/** How slow a connection is. */
export interface TrafficShape {
  /** Each chunk waits so long, in its order. */
  readonly latencyMs?: number;
  /** A random time up to this is added to each chunk's latency. */
  readonly jitterMs?: number;
  /** Sends one byte at a time, each in a packet of its own. */
  readonly trickle?: boolean;
}

/** Where and how a link is cut. */
export interface CutPoint {
  /** Bytes of the chunk that are still forwarded. */
  readonly offset: number;
  readonly ending: Ending;
  /** Called when it is done. */
  readonly onCut: () => void;
}

/** What a link asks and tells its proxy. */
export interface LinkHost {
  shape(): TrafficShape;
  /** Called with each chunk before it is forwarded. */
  inspect(passage: Passage): CutPoint | undefined;
  onForwarded(direction: Direction, bytes: number): void;
}

/** Without a pause the kernel would send several bytes of a trickle at once. */
const TRICKLE_PAUSE_MS = 1;
/** What a link holds back before the sender feels it; the kernel holds about as much again. */
const BUFFER_BYTES = 1 << 20;

/** One client's connection and the connection to the server that belongs to it. */
export class Link {
  /** Resolves when both sockets are closed. Never rejects. */
  readonly closed: Promise<unknown>;
  readonly #host: LinkHost;
  readonly #client: net.Socket;
  readonly #server: net.Socket;
  readonly #gates = { toServer: new Gate(), toClient: new Gate() };
  readonly #conversation = new Conversation();
  readonly #end = new AbortController();

  constructor(client: net.Socket, server: net.Socket, host: LinkHost) {
    this.#host = host;
    this.#client = client;
    this.#server = server;
    this.closed = Promise.all([
      untilClosed(client),
      untilClosed(server),
      this.#pump(client, server, "toServer"),
      this.#pump(server, client, "toClient"),
    ]);
  }

  /** Forwards nothing more this way, not even the end of the connection. */
  silence(direction: Direction): void {
    this.#gates[direction].close();
  }

  /** Forwards again, and what came in the meantime first. */
  resume(): void {
    for (const gate of Object.values(this.#gates)) gate.open();
  }

  /** Ends both sockets at once, whatever the link was waiting for. */
  end(ending: Ending): void {
    this.#end.abort();
    for (const socket of [this.#client, this.#server]) {
      if (ending === "reset") socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  async #pump(source: net.Socket, sink: net.Socket, direction: Direction): Promise<void> {
    try {
      for await (const chunk of buffered(source)) await this.#forward(sink, direction, chunk);
      await this.#pass(direction);
      sink.end();
    } catch {
      // A socket has failed: the other side gets to know, unless the network is silent.
      await this.#pass(direction).catch(() => {});
      if (!sink.destroyed) sink.resetAndDestroy();
    }
  }

  async #forward(sink: net.Socket, direction: Direction, chunk: Buffer): Promise<void> {
    const { latencyMs = 0, jitterMs = 0, trickle = false } = this.#host.shape();
    const waitMs = latencyMs + Math.random() * jitterMs;
    if (waitMs > 0) await delay(waitMs, undefined, { signal: this.#end.signal });
    await this.#pass(direction);
    const messages = this.#conversation.scan(direction, chunk);
    const cut = this.#host.inspect({ link: this, direction, length: chunk.length, messages });
    await this.#send(sink, direction, chunk.subarray(0, cut?.offset), trickle ? 1 : chunk.length);
    if (cut === undefined) return;
    this.end(cut.ending);
    cut.onCut();
  }

  async #send(sink: net.Socket, direction: Direction, data: Buffer, step: number): Promise<void> {
    for (let start = 0; start < data.length; start += step) {
      if (start > 0) await delay(TRICKLE_PAUSE_MS, undefined, { signal: this.#end.signal });
      await this.#pass(direction);
      const piece = data.subarray(start, start + step);
      const { promise: written, resolve, reject } = Promise.withResolvers<void>();
      sink.write(piece, (error) => error ? reject(error) : resolve());
      await abortable(written, this.#end.signal);
      this.#host.onForwarded(direction, piece.length);
    }
  }

  async #pass(direction: Direction): Promise<void> {
    await abortable(this.#gates[direction].opened, this.#end.signal);
  }
}

/** Stops what goes through it while it is closed. */
class Gate {
  #opened = Promise.resolve();
  #open: (() => void) | undefined;

  get opened(): Promise<void> {
    return this.#opened;
  }

  close(): void {
    if (this.#open !== undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#opened = promise;
    this.#open = resolve;
  }

  open(): void {
    this.#open?.();
    this.#open = undefined;
  }
}

/**
 * What a socket receives. It is read also while nobody takes it out of here, so that the socket
 * notices that its peer has gone.
 */
function buffered(source: net.Socket): PassThrough {
  const buffer = new PassThrough({ highWaterMark: BUFFER_BYTES });
  source.on("error", () => {}); // "close" follows
  source.once("close", () => {
    if (!source.readableEnded) buffer.destroy(new Error("The peer has reset the connection."));
  });
  return source.pipe(buffer);
}

/** Resolves when the socket is closed, well or not. Never rejects. */
export async function untilClosed(socket: net.Socket): Promise<void> {
  if (socket.closed) return;
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}
