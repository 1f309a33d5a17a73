import { Buffer } from "node:buffer";
import { classify, type DatabaseError, type DatabaseErrorCode } from "../errors.ts";

/** No error message is longer; keeping results alive would only cost memory. */
const MAX_ERROR_BYTES = 8192;
const ERROR_RESPONSE = "E".charCodeAt(0);
/** A message's type and length. */
const HEADER_BYTES = 5;

/** ReadyForQuery's other status is `I`, idle. */
const IN_TRANSACTION = "T".charCodeAt(0);
/** An error has aborted the transaction, which is open until it is rolled back. */
const IN_FAILED_TRANSACTION = "E".charCodeAt(0);

/** Errors at the end of a session that say more than that the connection is lost. */
const TELLING: ReadonlySet<DatabaseErrorCode> = new Set([
  "CONNECTION_REFUSED",
  "TOO_MANY_CONNECTIONS",
  "AUTHENTICATION_FAILED",
  "DATABASE_NOT_FOUND",
]);

/**
 * What the server has sent last, as far as the driver does not report it: whether a transaction is
 * open, and the error that ended the session.
 */
export class Wire {
  #last: Uint8Array | undefined;
  #lastByte: number | undefined;
  #chunkCount = 0;

  /** Takes what has come from the server. */
  hear(chunk: Uint8Array): void {
    this.#chunkCount++;
    this.#lastByte = chunk[chunk.length - 1];
    this.#last = chunk.length <= MAX_ERROR_BYTES ? chunk : undefined;
  }

  /** How many times something has come; two equal counts mean silence. */
  get chunkCount(): number {
    return this.#chunkCount;
  }

  /**
   * Whether a transaction is open; valid only while no statement runs. Every answer ends with
   * ReadyForQuery, whose last byte is the status, however the network cuts the messages up. A
   * message that the server sends unasked would hide it; in an open transaction that is only the
   * error with which it ends the session.
   *
   * Source: PostgreSQL documentation, 55.7 "Message Formats".
   */
  get isInTransaction(): boolean {
    return this.#lastByte === IN_TRANSACTION || this.#lastByte === IN_FAILED_TRANSACTION;
  }

  /**
   * The error with which the server, or a pooler before it, ended the session; undefined when it
   * ended without one. The driver drops it when a statement runs: it waits for a ReadyForQuery that
   * never comes after a fatal error.
   */
  get fatalError(): DatabaseError | undefined {
    const fields = this.#last && lastErrorFields(this.#last);
    // PgBouncer sends only the localized severity, and does not translate it.
    if ((fields?.get("V") ?? fields?.get("S")) !== "FATAL") return undefined;
    const error = new Error(fields?.get("M"));
    return classify(Object.assign(error, { name: "PostgresError", code: fields?.get("C") }));
  }

  /** The code for what failed because the session ended. */
  get lossCode(): DatabaseErrorCode {
    const { code } = this.fatalError ?? {};
    return code !== undefined && TELLING.has(code) ? code : "CONNECTION_LOST";
  }
}

/**
 * The fields of the ErrorResponse that ends the bytes, by their type; undefined when there is none.
 *
 * Source: PostgreSQL documentation, 55.7 "Message Formats" and 55.8 "Error and Notice Message Fields".
 */
function lastErrorFields(bytes: Uint8Array): ReadonlyMap<string, string> | undefined {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let offset = 0;
  while (offset + HEADER_BYTES <= data.length) {
    const end = offset + 1 + data.readUInt32BE(offset + 1);
    if (end <= offset + 1) return undefined;
    if (end === data.length && data[offset] === ERROR_RESPONSE) {
      const fields = data.toString("utf8", offset + HEADER_BYTES, end).split("\0");
      return new Map(fields.map((field) => [field.slice(0, 1), field.slice(1)]));
    }
    offset = end;
  }
  return undefined;
}
