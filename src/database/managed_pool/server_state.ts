import type { DatabaseConfig } from "../../config/mod.ts";
import type { ServerRole } from "../connection/connection.ts";
import { accepts } from "../connection/session.ts";
import { DatabaseError } from "../errors.ts";

/**
 * Makes the database schema ready for calls, for instance by migrations. When it rejects, the
 * database is not ready. When it resolves with an error, reads may go on, and the error is why
 * nothing may be written.
 */
export type EnsureSchema = (signal: AbortSignal) => Promise<DatabaseError | void>;

/** Called when something of a {@linkcode ServerState} has changed. */
export interface ServerStateEvents {
  /** The server takes writes now and did not before, or the other way round. */
  readonly onRoleChange: () => void;
  /** After any change, that of the role included. */
  readonly onChange: () => void;
}

/**
 * What is known of the server behind a pool: its role, whether the schema is ready, and what blocks
 * writes. Recovery, pings and new connections report here; it asks nothing by itself.
 */
export class ServerState {
  readonly #wanted: DatabaseConfig["targetSessionAttrs"];
  readonly #ensureSchema: EnsureSchema | undefined;
  readonly #events: ServerStateEvents;
  #role: ServerRole | undefined;
  #isSchemaReady: boolean;
  #isReady = false;
  #writesBlockedBy: DatabaseError | undefined;

  /** Knows nothing of the server yet. */
  constructor(
    { targetSessionAttrs }: Pick<DatabaseConfig, "targetSessionAttrs">,
    ensureSchema: EnsureSchema | undefined,
    events: ServerStateEvents,
  ) {
    this.#wanted = targetSessionAttrs;
    this.#ensureSchema = ensureSchema;
    this.#events = events;
    this.#isSchemaReady = ensureSchema === undefined;
  }

  /** Whether calls may use the schema. */
  get isSchemaReady(): boolean {
    return this.#isSchemaReady;
  }

  /** Whether the server has been found once, with its schema ready. */
  get isReady(): boolean {
    return this.#isReady;
  }

  /** Whether the server takes writes, and nothing else blocks them. */
  get isWritable(): boolean {
    return this.#role?.readOnly === false && this.#writesBlockedBy === undefined;
  }

  /** Why nothing may be written, although the server may take writes. */
  get writesBlockedBy(): DatabaseError | undefined {
    return this.#writesBlockedBy;
  }

  /**
   * A server of the list has told its role.
   *
   * @throws {DatabaseError} `WRONG_SERVER_ROLE`: another host of the list may have the right one.
   */
  sawRole(role: ServerRole): void {
    if (!accepts(this.#wanted, role)) {
      throw new DatabaseError("WRONG_SERVER_ROLE", {
        message: `The server is no longer ${this.#wanted} (target_session_attrs)`,
      });
    }
    const hasChanged = this.#role !== undefined && this.#role.readOnly !== role.readOnly;
    this.#role = role;
    if (!hasChanged) return;
    this.#events.onRoleChange();
    this.#events.onChange();
  }

  /**
   * The server has answered a ping.
   *
   * @throws {DatabaseError} As {@linkcode ServerState.sawRole}.
   */
  answered(role: ServerRole): void {
    this.sawRole(role);
    if (this.#isSchemaReady) this.ready();
  }

  /** Makes the schema ready, once. */
  async ensureSchema(signal: AbortSignal): Promise<void> {
    if (this.#isSchemaReady) return;
    await this.#askSchema(signal);
    this.#isSchemaReady = true;
  }

  /** The server has been found, and its schema is ready. */
  ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#events.onChange();
  }

  /**
   * The server has been seen to take writes. Checks again what else blocks them.
   *
   * @throws {DatabaseError} What still blocks them; or as {@linkcode ServerState.sawRole}.
   */
  async takesWrites(role: ServerRole, signal: AbortSignal): Promise<void> {
    if (this.#writesBlockedBy !== undefined) {
      await this.#askSchema(signal);
      if (this.#writesBlockedBy !== undefined) throw this.#writesBlockedBy;
      this.#events.onChange();
    }
    this.sawRole(role);
  }

  async #askSchema(signal: AbortSignal): Promise<void> {
    const blockedBy = await this.#ensureSchema?.(signal);
    this.#writesBlockedBy = blockedBy instanceof DatabaseError ? blockedBy : undefined;
  }
}
