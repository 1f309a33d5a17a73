import { Buffer } from "node:buffer";

/** Which way bytes go through the proxy. */
export type Direction = "toServer" | "toClient";

/** A message of PostgreSQL's protocol, and where it lies in the chunk that completed it. */
export interface Message {
  /** The protocol's type byte, such as `Q` or `C`; the first messages of a client have names. */
  readonly type: string;
  /** What the server executes because of this message; only for `Q` and `E`. */
  readonly sql?: string;
  /** 0 when it began in an earlier chunk. */
  readonly start: number;
  readonly end: number;
}

// A client's first messages have no type byte but a number (PostgreSQL documentation, 55.7).
const UNTYPED: Readonly<Record<number, string>> = {
  196608: "StartupMessage",
  80877102: "CancelRequest",
  80877103: "SSLRequest",
  80877104: "GSSENCRequest",
};

/**
 * Splits both directions of one connection into messages, and knows which SQL text each of them
 * executes, also when a prepared statement is named only.
 *
 * Source: PostgreSQL documentation, chapter 55 "Frontend/Backend Protocol".
 */
export class Conversation {
  readonly #rest = { toServer: Buffer.alloc(0), toClient: Buffer.alloc(0) };
  readonly #statements = new Map<string, string>();
  readonly #portals = new Map<string, string>();
  #started = false;
  /** Answers of one byte without a length that the server owes, to SSLRequest and the like. */
  #owedBytes = 0;
  #encrypted = false;

  /** The messages that this chunk completes. */
  scan(direction: Direction, chunk: Buffer): Message[] {
    if (this.#encrypted) return [];
    const rest = this.#rest[direction];
    const data = Buffer.concat([rest, chunk]);
    const messages: Message[] = [];
    let position = 0;
    for (;;) {
      const next = direction === "toServer"
        ? this.#nextOfClient(data.subarray(position))
        : this.#nextOfServer(data.subarray(position));
      if (next === undefined) break;
      const start = Math.max(0, position - rest.length);
      position += next.length;
      messages.push({ ...next.message, start, end: position - rest.length });
    }
    this.#rest[direction] = data.subarray(position);
    return messages;
  }

  #nextOfClient(data: Buffer): Piece | undefined {
    if (this.#started) {
      const piece = typedPiece(data);
      const sql = piece && this.#executed(piece.message.type, data.subarray(5, piece.length));
      return sql === undefined ? piece : { ...piece!, message: { ...piece!.message, sql } };
    }
    if (data.length < 8 || data.length < data.readInt32BE(0)) return undefined;
    const type = UNTYPED[data.readInt32BE(4)] ?? "unknown";
    if (type === "StartupMessage") this.#started = true;
    if (type === "SSLRequest" || type === "GSSENCRequest") this.#owedBytes++;
    return { message: { type }, length: data.readInt32BE(0) };
  }

  #nextOfServer(data: Buffer): Piece | undefined {
    if (this.#owedBytes === 0) return typedPiece(data);
    if (data.length === 0) return undefined;
    this.#owedBytes--;
    const type = String.fromCharCode(data[0]!);
    if (type !== "N") this.#encrypted = true;
    return { message: { type }, length: 1 };
  }

  /** Remembers what is prepared and bound; gives the SQL text that a message executes. */
  #executed(type: string, body: Buffer): string | undefined {
    const [first = "", second = ""] = body.toString("utf8").split("\0", 2);
    if (type === "Q") return first;
    if (type === "P") this.#statements.set(first, second);
    if (type === "B") this.#portals.set(first, this.#statements.get(second) ?? "");
    return type === "E" ? this.#portals.get(first) : undefined;
  }
}

interface Piece {
  readonly message: { readonly type: string; readonly sql?: string };
  readonly length: number;
}

function typedPiece(data: Buffer): Piece | undefined {
  if (data.length < 5) return undefined;
  const length = 1 + data.readInt32BE(1);
  if (data.length < length) return undefined;
  return { message: { type: String.fromCharCode(data[0]!) }, length };
}
