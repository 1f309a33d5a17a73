import { Buffer } from "node:buffer";
import { classify, type DatabaseError, type DatabaseErrorCode } from "../errors.ts";

/** Maximum number of bytes to keep; error messages are shorter. */
const MAX_ERROR_BYTES = 8192;
const ERROR_RESPONSE = "E".charCodeAt(0);
/** Length of a message header: type and length. */
const HEADER_BYTES = 5;

/** The other status in ReadyForQuery is `I`, idle. */
const IN_TRANSACTION = "T".charCodeAt(0);
/** The transaction has failed and is open until it is rolled back. */
const IN_FAILED_TRANSACTION = "E".charCodeAt(0);

/** FATAL errors that are more specific than a lost connection. */
const TELLING: ReadonlySet<DatabaseErrorCode> = new Set([
  "CONNECTION_REFUSED",
  "TOO_MANY_CONNECTIONS",
  "AUTHENTICATION_FAILED",
  "DATABASE_NOT_FOUND",
]);

/**
 * Tracks what the driver does not report of the data from the server: whether a transaction is
 * open, and the error that ended the session.
 */
export class Wire {
  #last: Uint8Array | undefined;
  #lastByte: number | undefined;
  #chunkCount = 0;

  /** Processes data from the server. */
  hear(chunk: Uint8Array): void {
    this.#chunkCount++;
    this.#lastByte = chunk[chunk.length - 1];
    this.#last = chunk.length <= MAX_ERROR_BYTES ? chunk : undefined;
  }

  /** Number of chunks received; if it does not change, the server was silent. */
  get chunkCount(): number {
    return this.#chunkCount;
  }

  /**
   * Whether a transaction is open; valid only while no statement runs. Every answer ends with
   * ReadyForQuery, whose last byte is the status, however the network splits the data. An
   * asynchronous message of the server would hide it; in an open transaction only the error that
   * ends the session can be one.
   *
   * Source: PostgreSQL documentation, 55.7 "Message Formats".
   */
  get isInTransaction(): boolean {
    return this.#lastByte === IN_TRANSACTION || this.#lastByte === IN_FAILED_TRANSACTION;
  }

  /**
   * The error with which the server, or a pooler in front of it, ended the session; undefined if it
   * ended without one. While a statement runs, the driver drops this error: it waits for a
   * ReadyForQuery, which never follows a fatal error.
   */
  get fatalError(): DatabaseError | undefined {
    const fields = this.#last && lastErrorFields(this.#last);
    // PgBouncer sends only the localized severity, in English.
    if ((fields?.get("V") ?? fields?.get("S")) !== "FATAL") return undefined;
    const error = new Error(fields?.get("M"));
    return classify(Object.assign(error, { name: "PostgresError", code: fields?.get("C") }));
  }

  /** Error code of statements that fail because the session ended. */
  get lossCode(): DatabaseErrorCode {
    const { code } = this.fatalError ?? {};
    return code !== undefined && TELLING.has(code) ? code : "CONNECTION_LOST";
  }
}

/**
 * Returns the fields of an ErrorResponse at the end of the bytes; undefined if there is none.
 *
 * Source: PostgreSQL documentation, 55.7 "Message Formats" and 55.8 "Error and Notice Message
 * Fields".
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
