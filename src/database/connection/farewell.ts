import { Buffer } from "node:buffer";
import { classify, type DatabaseError, type DatabaseErrorCode } from "../errors.ts";

/** Longer is no error message; keeping results alive would only cost memory. */
const MAX_BYTES = 8192;
const ERROR_RESPONSE = "E".charCodeAt(0);
/** A message's type and length. */
const HEADER_BYTES = 5;

/** What a farewell can say that matters more than that the connection is lost. */
const TELLING: ReadonlySet<DatabaseErrorCode> = new Set([
  "CONNECTION_REFUSED",
  "TOO_MANY_CONNECTIONS",
  "AUTHENTICATION_FAILED",
  "DATABASE_NOT_FOUND",
]);

/**
 * The error with which the other side ended a session. The driver forgets it when a statement runs:
 * it waits for a ReadyForQuery, which never comes after a fatal error. Behind a pooler that is how
 * every statement learns that the server is away.
 */
export class Farewell {
  #last: Uint8Array | undefined;

  /** Hears what has come from the server. @returns Whether it may end with a farewell. */
  hear(chunk: Uint8Array): boolean {
    this.#last = chunk.length <= MAX_BYTES ? chunk : undefined;
    return chunk[0] === ERROR_RESPONSE;
  }

  /** Undefined when the session ended without a word. */
  get error(): DatabaseError | undefined {
    const fields = this.#last && lastErrorFields(this.#last);
    // PgBouncer sends only the kind that a server translates, and does not translate it.
    if ((fields?.get("V") ?? fields?.get("S")) !== "FATAL") return undefined;
    const said = new Error(fields?.get("M"));
    return classify(Object.assign(said, { name: "PostgresError", code: fields?.get("C") }));
  }

  /** Whether it says that there was no session with a server, so that nothing was done. */
  get isTelling(): boolean {
    return this.code !== "CONNECTION_LOST";
  }

  /** The code for what failed because the session ended. */
  get code(): DatabaseErrorCode {
    const { code } = this.error ?? {};
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
