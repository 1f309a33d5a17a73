import type net from "node:net";
import postgres from "postgres";
import { tagStatements } from "./tagged_statement.ts";

/**
 * postgres.js without what belongs to its own pool: tagged templates, helpers,
 * fragments, `unsafe`, and what ends a cursor. Transactions are plain `begin` and `commit`
 * statements: its `sql.begin` hangs when the connection dies.
 */
export type Sql = postgres.ISql & Pick<postgres.Sql, "CLOSE" | "END">;

/** A value that a query can take as a parameter. */
export type Parameter = postgres.SerializableParameter;

/** What a {@linkcode createClient} needs to know of a session. */
export interface ClientOptions {
  /** Host and port are only for error messages: the socket is connected already. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password: string;
  /** Run-time parameters of the start-up message. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Whether statements are prepared on the server, and kept for their next use. */
  readonly prepare: boolean;
  /** The one connected socket; throws when called again. */
  readonly socket: () => net.Socket;
  /** Gets every notice of the server; without it postgres.js prints them. */
  readonly onNotice: (notice: Readonly<Record<string, string>>) => void;
}

/** The driver does nothing by itself: no reconnect, close or query, and no look at PG* variables. */
const ONE_SHOT = {
  max: 1,
  fetch_types: false,
  idle_timeout: 0,
  max_lifetime: 0,
  connect_timeout: 0,
  keep_alive: 0,
  backoff: () => 0,
  ssl: false,
  sslnegotiation: null,
  max_pipeline: 100,
  debug: false,
  publications: "",
} satisfies postgres.Options<Record<string, never>> & {
  readonly sslnegotiation: null;
  readonly max_pipeline: number;
};

/**
 * A postgres.js client for one connection. Its options are parsed twice on
 * purpose: the driver lets PGTARGETSESSIONATTRS win over an unset option (and
 * throws when it is `any`), but takes options that it has parsed as they are.
 */
export function createClient(options: ClientOptions): postgres.Sql {
  const { options: parsed } = postgres({
    ...ONE_SHOT,
    host: options.host,
    port: options.port,
    user: options.user,
    database: options.database,
    prepare: options.prepare,
    // A function, so that the client's options do not hold the password.
    password: () => options.password,
    target_session_attrs: "primary",
    onnotice: options.onNotice,
  });
  const exact = {
    ...parsed,
    host: [options.host],
    port: [options.port],
    target_session_attrs: null,
    connection: options.parameters,
    socket: options.socket,
  };
  return tagStatements(postgres(exact as unknown as postgres.Options<Record<string, never>>));
}
