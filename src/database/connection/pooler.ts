import type { DatabaseConfig, PoolerMode } from "../../config/mod.ts";
import { DatabaseError } from "../errors.ts";

/** Settings that decide what a session may rely on. */
export type PoolerConfig = Pick<
  DatabaseConfig,
  "pooler" | "applicationName" | "schema" | "options" | "user" | "database"
>;

/** What a session tells of itself, to find out whose it is. */
export interface SessionIdentity {
  /** Process id that the session was given at its start, to cancel its statements. */
  readonly keyPid: number;
  /** Process id of the backend that answers. */
  readonly serverPid: number;
  /** First schema of the search path that exists. */
  readonly schema: string | null;
}

/**
 * Run-time parameters for the start-up message. PgBouncer takes no search path and no options
 * there: it refuses the session, or drops them (`ignore_startup_parameters`).
 *
 * Source: PgBouncer documentation, config.html, "ignore_startup_parameters".
 */
export function startupParameters(config: PoolerConfig): Readonly<Record<string, string>> {
  const { pooler, applicationName, options } = config;
  if (pooler !== "none") return { application_name: applicationName };
  return {
    application_name: applicationName,
    search_path: searchPath(config),
    ...OUTPUT_FORMATS,
    ...(options === undefined ? {} : { options }),
  };
}

/**
 * How the server writes values, so that they can be read whatever the role, the database or the
 * server has set: 03/04/2026 could be two days.
 */
export const OUTPUT_FORMATS = { DateStyle: "ISO", bytea_output: "hex" } as const;

/** As it is written in the start-up message and for `set_config`. */
export function searchPath({ schema }: Pick<PoolerConfig, "schema">): string {
  return `"${schema.replaceAll('"', '""')}"`;
}

/** Whether statements may be prepared: not where the next one may go to another session. */
export function canPrepare({ pooler }: Pick<PoolerConfig, "pooler">): boolean {
  return pooler !== "transaction";
}

/**
 * Holds one connection against DB_POOLER. A pooler shows itself by a process id of its own: it
 * hands out its own keys for cancel requests.
 */
export class PoolerCheck {
  readonly #config: PoolerConfig;
  #identity: SessionIdentity | undefined;

  constructor(config: PoolerConfig) {
    this.#config = config;
  }

  /** Whether something stands between this connection and its server. */
  get isPooled(): boolean {
    return this.#identity !== undefined && this.#identity.keyPid !== this.#identity.serverPid;
  }

  /** Process id of the backend that answered last. */
  get serverPid(): number | undefined {
    return this.#identity?.serverPid;
  }

  /** @throws {DatabaseError} `POOLER_MISMATCH` when the setting promises more than is there. */
  verify(identity: SessionIdentity): void {
    const before = this.#identity;
    this.#identity = identity;
    const { pooler } = this.#config;
    if (pooler === "none" && this.isPooled) throw undeclaredPooler();
    if (pooler === "transaction") return this.#verifySchema(identity);
    if (before !== undefined && before.serverPid !== identity.serverPid) {
      throw sharedSession(pooler);
    }
  }

  /** Nothing can be set for a session that the next statement may not get. */
  #verifySchema({ schema }: SessionIdentity): void {
    const { pooler, schema: wanted, user, database } = this.#config;
    if (schema === wanted) return;
    const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
    throw mismatch(
      pooler,
      `the schema must then be the role's own: sessions begin in ${schema ?? "no schema"} and ` +
        `DB_SCHEMA is ${wanted}. Create it, and: alter role ${quoted(user)} in database ` +
        `${quoted(database)} set search_path = ${quoted(wanted)}; then reconnect the pooler`,
    );
  }
}

/**
 * For work that holds a lock in its session, or resets the session to how it began.
 *
 * @throws {DatabaseError} `POOLER_MISMATCH` behind a pooler, which has its own idea of both.
 */
export function requireNoPooler({ pooler }: Pick<PoolerConfig, "pooler">): void {
  if (pooler === "none") return;
  throw mismatch(
    pooler,
    "migrations need a connection to the server itself: run them with its DB_HOST and DB_PORT " +
      "and with DB_POOLER=none",
  );
}

/** The error for a pooler that nobody has told of. */
export function undeclaredPooler(cause?: DatabaseError): DatabaseError {
  return mismatch(
    "none",
    "there is a pooler between the service and the server. Set DB_POOLER to its pool_mode, " +
      "session or transaction",
    cause,
  );
}

/** The error for two connections that were given one session of the server. */
export function sharedSession(pooler: PoolerMode): DatabaseError {
  return mismatch(
    pooler,
    "the pooler lends the server's sessions for a transaction only. Set DB_POOLER to transaction",
  );
}

function mismatch(pooler: PoolerMode, problem: string, cause?: DatabaseError): DatabaseError {
  const message = `DB_POOLER is ${pooler}, but ${problem}`;
  return new DatabaseError("POOLER_MISMATCH", { message, cause });
}
