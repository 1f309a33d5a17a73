/** The third status is `I`, idle. */
const IN_TRANSACTION = "T".charCodeAt(0);
/** In a transaction that an error has ended, until it is rolled back. */
const IN_FAILED_TRANSACTION = "E".charCodeAt(0);

/**
 * Whether a session has a transaction open. The driver does not tell, so this listens to what the
 * server sends: every answer ends with ReadyForQuery, whose last byte is the status. However the
 * network cuts the messages up, it is the last byte that has come while nothing runs. What a server
 * says unasked would hide it, but in an open transaction that is only why it ends the session.
 *
 * Source: PostgreSQL documentation, 55.7 "Message Formats".
 */
export class TransactionStatus {
  #lastByte: number | undefined;

  /** Hears what has come from the server. */
  hear(chunk: Uint8Array): void {
    this.#lastByte = chunk[chunk.length - 1];
  }

  /** Means something only while nothing runs. */
  get isOpen(): boolean {
    return this.#lastByte === IN_TRANSACTION || this.#lastByte === IN_FAILED_TRANSACTION;
  }
}
