import type { DatabaseConfig, PoolerMode } from "../../config/mod.ts";
import { DatabaseError } from "../errors.ts";

/** Settings that determine which session features are available. */
export type PoolerConfig = Pick<
  DatabaseConfig,
  "pooler" | "applicationName" | "schema" | "options" | "user" | "database"
>;

/** What a session reports about itself, to detect a pooler. */
export interface SessionIdentity {
  /** Process id that the session received at login, for cancel requests. */
  readonly keyPid: number;
  /** Process id of the backend that answers. */
  readonly serverPid: number;
  /** First schema of the search path that exists. */
  readonly schema: string | null;
}

/**
 * Returns the run-time parameters of the startup message. PgBouncer does not support a search path
 * or options there: it rejects the session or ignores them (`ignore_startup_parameters`).
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
 * Output formats that the service reads, whatever the role or the database has set: 03/04/2026 is
 * ambiguous.
 */
export const OUTPUT_FORMATS = { DateStyle: "ISO", bytea_output: "hex" } as const;

/** Formats the search path for the startup message and `set_config`. */
export function searchPath({ schema }: Pick<PoolerConfig, "schema">): string {
  return `"${schema.replaceAll('"', '""')}"`;
}

/** Whether statements may be prepared: not if the next one may run in another session. */
export function canPrepare({ pooler }: Pick<PoolerConfig, "pooler">): boolean {
  return pooler !== "transaction";
}

/**
 * Compares a connection with DB_POOLER. A pooler is detected by its process id: it issues its own
 * keys for cancel requests.
 */
export class PoolerCheck {
  readonly #config: PoolerConfig;
  #identity: SessionIdentity | undefined;

  constructor(config: PoolerConfig) {
    this.#config = config;
  }

  /** Whether there is a pooler between this connection and its server. */
  get isPooled(): boolean {
    return this.#identity !== undefined && this.#identity.keyPid !== this.#identity.serverPid;
  }

  /** Process id of the backend that answered last. */
  get serverPid(): number | undefined {
    return this.#identity?.serverPid;
  }

  /** @throws {DatabaseError} `POOLER_MISMATCH` if the session does not match DB_POOLER. */
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

  /** In transaction mode, session settings do not apply to the next statement. */
  #verifySchema({ schema }: SessionIdentity): void {
    const { pooler, schema: wanted, user, database } = this.#config;
    if (schema === wanted) return;
    const quoted = (name: string) => `"${name.replaceAll('"', '""')}"`;
    const start = schema ?? "no schema";
    throw mismatch(
      pooler,
      `the search path must then be set for the role: sessions start in ${start}, but DB_SCHEMA ` +
        `is ${wanted}. Create the schema, run: alter role ${quoted(user)} in database ` +
        `${quoted(database)} set search_path = ${quoted(wanted)}; then reconnect the pooler`,
    );
  }
}

/**
 * For work that holds a lock in its session, or resets the session.
 *
 * @throws {DatabaseError} `POOLER_MISMATCH` behind a pooler, which supports neither.
 */
export function requireNoPooler({ pooler }: Pick<PoolerConfig, "pooler">): void {
  if (pooler === "none") return;
  throw mismatch(
    pooler,
    "migrations need a direct connection to the server: run them with the DB_HOST and DB_PORT of " +
      "the server, and with DB_POOLER=none",
  );
}

/** The error for a pooler while DB_POOLER is `none`. */
export function undeclaredPooler(cause?: DatabaseError): DatabaseError {
  return mismatch(
    "none",
    "there is a connection pooler between the service and the server. Set DB_POOLER to its " +
      "pool_mode: session or transaction",
    cause,
  );
}

/** The error for two connections that share a session of the server. */
export function sharedSession(pooler: PoolerMode): DatabaseError {
  return mismatch(
    pooler,
    "the pooler assigns sessions of the server for a transaction only. Set DB_POOLER to transaction",
  );
}

function mismatch(pooler: PoolerMode, problem: string, cause?: DatabaseError): DatabaseError {
  const message = `DB_POOLER is ${pooler}, but ${problem}`;
  return new DatabaseError("POOLER_MISMATCH", { message, cause });
}
