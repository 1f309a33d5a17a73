import type { DatabaseConfig } from "../../config/mod.ts";
import type { ServerRole } from "../connection/connection.ts";
import { accepts } from "../connection/session.ts";
import { DatabaseError } from "../errors.ts";

/** Makes a database ready; what it resolves with is why nothing may be written. */
export type Prepare = (signal: AbortSignal) => Promise<DatabaseError | void>;

/** What is known of the server at the end of a lane. It asks nothing by itself. */
export class KnownServer {
  readonly #wanted: DatabaseConfig["targetSessionAttrs"];
  readonly #prepare: Prepare | undefined;
  #role: ServerRole | undefined;
  #isPrepared: boolean;
  #writeRefusal: DatabaseError | undefined;

  constructor({ targetSessionAttrs }: DatabaseConfig, prepare: Prepare | undefined) {
    this.#wanted = targetSessionAttrs;
    this.#prepare = prepare;
    this.#isPrepared = prepare === undefined;
  }

  /** Whether calls find a database that is ready for them. */
  get isPrepared(): boolean {
    return this.#isPrepared;
  }

  get isWritable(): boolean {
    return this.#role?.readOnly === false && this.#writeRefusal === undefined;
  }

  /** Why nothing may be written, whatever the server takes. */
  get writeRefusal(): DatabaseError | undefined {
    return this.#writeRefusal;
  }

  /**
   * The server has said what it is.
   *
   * @returns Whether it takes writes now and did not before, or the other way round.
   * @throws {DatabaseError} `WRONG_SERVER_ROLE`: another host of the list may have it.
   */
  saw(role: ServerRole): boolean {
    if (!accepts(this.#wanted, role)) {
      throw new DatabaseError("WRONG_SERVER_ROLE", {
        message: `The server is not ${this.#wanted} any more (target_session_attrs)`,
      });
    }
    const isChange = this.#role !== undefined && this.#role.readOnly !== role.readOnly;
    this.#role = role;
    return isChange;
  }

  /** Makes the database ready, once. */
  async prepare(signal: AbortSignal): Promise<void> {
    if (this.#isPrepared) return;
    await this.#askForRefusal(signal);
    this.#isPrepared = true;
  }

  /**
   * Asks again what is against writes.
   *
   * @returns Whether that has come to an end.
   * @throws {DatabaseError} What still is against them.
   */
  async liftRefusal(signal: AbortSignal): Promise<boolean> {
    if (this.#writeRefusal === undefined) return false;
    await this.#askForRefusal(signal);
    if (this.#writeRefusal !== undefined) throw this.#writeRefusal;
    return true;
  }

  async #askForRefusal(signal: AbortSignal): Promise<void> {
    const refusal = await this.#prepare?.(signal);
    this.#writeRefusal = refusal instanceof DatabaseError ? refusal : undefined;
  }
}
