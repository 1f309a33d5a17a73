import postgres from "postgres";
import type net from "node:net";

/**
 * postgres.js without what belongs to its own pool: tagged templates, helpers,
 * fragments and `unsafe`. Transactions are plain `begin` and `commit`
 * statements: its `sql.begin` hangs when the connection dies.
 */
export type Sql = postgres.ISql;

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
  /** The one connected socket; called again, it must throw. */
  readonly socket: () => net.Socket;
  /** Gets every notice of the server; without it postgres.js prints them. */
  readonly onNotice: (notice: Readonly<Record<string, string>>) => void;
}

/** Each of these would make the driver reconnect, close, or query by itself. */
const ONE_SHOT = {
  max: 1,
  fetch_types: false,
  idle_timeout: 0,
  max_lifetime: 0,
  connect_timeout: 0,
  keep_alive: 0,
  backoff: () => 0,
  ssl: false,
} satisfies postgres.Options<Record<string, never>>;

/**
 * A postgres.js client for one connection. Its options are parsed twice on
 * purpose: the driver lets PGTARGETSESSIONATTRS win over an unset option (and
 * throws when it is `any`), but takes options that it has parsed as they are.
 */
export function createClient(options: ClientOptions): postgres.Sql {
  const { options: parsed } = postgres({
    ...ONE_SHOT,
    user: options.user,
    database: options.database,
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
  return postgres(exact as unknown as postgres.Options<Record<string, never>>) as postgres.Sql;
}

/** The part of a client that is safe to hand out; printing it shows no options. */
export function restrict(client: postgres.Sql): Sql {
  const tag = (...args: Parameters<typeof client>) => client(...args);
  const { unsafe, array, json, typed, types, notify, file } = client;
  return Object.assign(tag, { unsafe, array, json, typed, types, notify, file }) as Sql;
}
