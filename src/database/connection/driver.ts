import postgres from "postgres";
import type { Duplex } from "node:stream";

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
  /** The one connected socket; when called again, a stream that fails. */
  readonly socket: () => Duplex;
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
  prepare: true,
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

/** A statement of the driver, with the parts that its types leave out. */
interface DriverQuery {
  /** Sends the statement; called once, when somebody first waits for it. */
  handler: (query: DriverQuery) => void;
  reject: (error: unknown) => void;
  /** Set to false when the statement has ended, however it did, and nowhere else. */
  active: boolean;
}

/** Hears of every statement of a {@linkcode intercept}ed `sql`. */
export interface StatementListener {
  /** Called when a statement is about to be sent; it fails with the result instead, if there is one. */
  readonly onSend: () => Error | undefined;
  /** The statement fails with the result. */
  readonly onFailed: (error: unknown) => unknown;
  /** Called once for each statement that was sent, after `onFailed`. */
  readonly onEnded: () => void;
}

/**
 * The same `sql` with a listener. The driver sends a statement when it is first
 * waited for, which can be long after it was written down, and fragments never:
 * so the listener hooks into the sending.
 */
export function intercept(sql: Sql, listener: StatementListener): Sql {
  const watch = <T>(result: T): T => {
    if (isQuery(result)) watchQuery(result, listener);
    return result;
  };
  const tag = (...args: Parameters<Sql>) => watch(sql(...args));
  const { array, json, typed, types } = sql;
  return Object.assign(tag, {
    array,
    json,
    typed,
    types,
    unsafe: (...args: Parameters<Sql["unsafe"]>) => watch(sql.unsafe(...args)),
    file: (...args: Parameters<Sql["file"]>) => watch(sql.file(...args)),
    notify: (channel: string, payload: string) => tag`select pg_notify(${channel}, ${payload})`,
  }) as unknown as Sql;
}

/** A tag also gives identifiers and helpers, which are only parts of a statement. */
function isQuery(value: unknown): value is DriverQuery {
  return value instanceof Promise;
}

function watchQuery(query: DriverQuery, { onSend, onFailed, onEnded }: StatementListener): void {
  const send = query.handler;
  query.handler = () => {
    const refusal = onSend();
    if (refusal !== undefined) return query.reject(refusal);
    const { reject } = query;
    query.reject = (error) => reject(onFailed(error));
    watchEnd(query, onEnded);
    send(query);
  };
}

/** Not by `then`: cursors never settle, and an error that nobody handles must stay visible. */
function watchEnd(query: DriverQuery, onEnded: () => void): void {
  const outer = Object.getOwnPropertyDescriptor(query, "active");
  let active = query.active;
  let ended = false;
  Object.defineProperty(query, "active", {
    configurable: true,
    get: () => active,
    set(value: boolean) {
      active = value;
      outer?.set?.call(query, value);
      if (active || ended) return;
      ended = true;
      onEnded();
    },
  });
}
