import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { eventually } from "./condition.ts";

/** The text of a GET request. */
export function get(path: string, header: Readonly<Record<string, string>> = {}): string {
  return `${head("GET", path, header)}\r\n`;
}

/** The text of a POST request with a JSON body. */
export function post(
  path: string,
  body: string,
  header: Readonly<Record<string, string>> = {},
): string {
  const length = { "Content-Type": "application/json", "Content-Length": String(body.length) };
  return `${head("POST", path, { ...length, ...header })}\r\n${body}`;
}

function head(method: string, path: string, header: Readonly<Record<string, string>>): string {
  const lines = Object.entries({ Host: "localhost", ...header }).map(([k, v]) => `${k}: ${v}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}`;
}

/** A request that every healthy server answers with 200. */
export const GET_HEALTH = post("/treasury.v1.Health/GetHealth", "{}");

/** An HTTP/1.1 response as it came over the wire. */
export interface RawResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly header: ReadonlyMap<string, string>;
  readonly body: string;
}

/** A connection that sends exactly the bytes it is given, and keeps everything that comes back. */
export class RawSocket implements AsyncDisposable {
  readonly #socket: net.Socket;
  #received: Buffer = Buffer.alloc(0);
  #ended = false;

  private constructor(socket: net.Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
    });
    // A reset is one way for a server to close; `closed` tells.
    socket.on("error", () => {});
    const ended = () => {
      this.#ended = true;
    };
    socket.once("end", ended).once("close", ended);
  }

  /** Opens a TCP connection to this machine. */
  static async connect(port: number): Promise<RawSocket> {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
    await once(socket, "connect");
    return new RawSocket(socket);
  }

  /**
   * Opens a TLS connection to this machine.
   *
   * @throws {Error} when the handshake fails
   */
  static async connectTls(port: number, options: tls.ConnectionOptions): Promise<RawSocket> {
    const socket = tls.connect({ port, host: "127.0.0.1", servername: "localhost", ...options });
    await once(socket, "secureConnect");
    return new RawSocket(socket);
  }

  /** The protocol that TLS agreed on; false when there was no agreement. */
  get alpnProtocol(): string | false | null {
    return (this.#socket as tls.TLSSocket).alpnProtocol;
  }

  /** Everything that was received and not yet taken by {@linkcode readResponse}. */
  get received(): Buffer {
    return this.#received;
  }

  /** Whether the server has closed its side. */
  get ended(): boolean {
    return this.#ended;
  }

  write(data: string | Uint8Array): void {
    this.#socket.write(data);
  }

  /** Sends each byte in a packet of its own. */
  async trickle(data: string): Promise<void> {
    for (const byte of Buffer.from(data, "latin1")) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#socket.write(Buffer.of(byte), () => resolve());
      await promise;
      // Without a pause the kernel would send several at once.
      await new Promise((resume) => setTimeout(resume, 2));
    }
  }

  /** Waits until the server has closed the connection. */
  async closedByServer(): Promise<void> {
    await eventually(() => this.#ended, { what: "the server closes the connection" });
  }

  /** Takes one response off what was received; `bodyless` for answers to HEAD. */
  async readResponse({ bodyless = false } = {}): Promise<RawResponse> {
    return await eventually(() => {
      const parsed = parseResponse(this.#received, bodyless);
      assert(parsed || !this.#ended, `the connection ended after ${this.#received.toString()}`);
      if (parsed) this.#received = this.#received.subarray(parsed.length);
      return parsed?.response;
    }, { what: "a whole response has arrived" });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#socket.closed) return;
    const closed = once(this.#socket, "close");
    this.#socket.destroy();
    await closed;
  }
}

function parseResponse(
  received: Buffer,
  bodyless: boolean,
): { response: RawResponse; length: number } | undefined {
  const text = received.toString("latin1");
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const [statusLine, ...lines] = text.slice(0, headEnd).split("\r\n");
  const status = Number(statusLine!.split(" ")[1]);
  const header = new Map(lines.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
  const start = headEnd + 4;
  if (bodyless || status === 204 || status < 200) {
    return { response: { status, header, body: "" }, length: start };
  }
  if (header.get("transfer-encoding") === "chunked") {
    const end = text.indexOf("0\r\n\r\n", start);
    if (end < 0) return undefined;
    const body = dechunk(text.slice(start, end));
    return { response: { status, header, body }, length: end + 5 };
  }
  const length = start + Number(header.get("content-length") ?? 0);
  if (received.length < length) return undefined;
  return { response: { status, header, body: text.slice(start, length) }, length };
}

function dechunk(text: string): string {
  let body = "";
  for (let rest = text; rest !== "";) {
    const [size] = rest.split("\r\n", 1);
    const start = size!.length + 2;
    const end = start + parseInt(size!, 16);
    body += rest.slice(start, end);
    rest = rest.slice(end + 2);
  }
  return body;
}
