import type net from "node:net";
import postgres from "postgres";
import type { DatabaseError } from "../errors.ts";
import type { Rows } from "./sql.ts";
import { ARRAY_TYPES, parseArray, type SentParameter, TypedText } from "./values.ts";

/** Session parameters and socket of a {@linkcode Client}. */
export interface ClientOptions {
  /** Host and port are for error messages only: the socket is already connected. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password: string;
  /** Run-time parameters of the startup message. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Whether to prepare statements on the server and reuse them. */
  readonly prepare: boolean;
  /** Returns the connected socket; throws if called again. */
  readonly socket: () => net.Socket;
  /** Called with every notice of the server; without it, postgres.js prints notices. */
  readonly onNotice: (notice: Readonly<Record<string, string>>) => void;
}

/** Result of a statement in the driver. For COPY, a stream instead. */
export interface DriverResult extends Array<object> {
  count: number | null;
  command: string | null;
  state: unknown;
  statement: unknown;
  columns: unknown;
}

/** The BackendKeyData of a session, with which its statements can be cancelled. */
export interface BackendKey {
  readonly pid: number;
  readonly secret: number;
}

/**
 * How a statement is sent: `simple` allows several statements and no parameters; the others allow
 * one statement, which the server keeps as `prepared` statement or not.
 */
export type Protocol = "simple" | "prepared" | "unprepared";

const OPTIONS = {
  simple: { simple: true, prepare: false },
  prepared: { simple: false },
  unprepared: { simple: false, prepare: false },
} as const;

/**
 * Called when a statement is sent, in the asynchronous context of its caller. The result, if any,
 * is called when the statement has ended, in any context.
 */
export type StatementObserver = () => ((statement: EndedStatement) => void) | undefined;

/** A statement that has completed or failed. */
export interface EndedStatement {
  /** Its first word in upper case, such as `SELECT`; `UNKNOWN` without one. */
  readonly command: string;
  /** With placeholders for parameters. */
  readonly text: string;
  /** As configured. */
  readonly host: string;
  /** As configured. */
  readonly port: number;
  /** Its error; undefined if it succeeded. */
  readonly error: DatabaseError | undefined;
}

/** Called once for each statement, with its result or its error. */
export type EndListener = (execution: Execution, error: unknown, result?: DriverResult) => void;

/**
 * A statement as the driver handles it: the driver's `Query` without helpers and streams. The
 * driver calls `resolve` or `reject` when the server is ready for the next statement, or `reject`
 * immediately when the socket fails.
 *
 * A class with methods rather than the driver's own class with two closures for each statement: V8
 * assumes that a closure assigned to a property is long-lived, so that every statement, with its
 * rows, would live until the next full garbage collection (docs/benchmarks.md, "Statements that die
 * young").
 */
export class Execution {
  // Read by the driver. Fields that it assigns later are declared too, for a single hidden class.
  readonly tagged = false;
  readonly strings: readonly [string];
  readonly args: readonly unknown[];
  readonly options: { readonly simple: boolean };
  readonly origin = "";
  /** Assigned by the driver when it sends the statement: the key of the session. */
  state: BackendKey | null = null;
  statement: unknown = null;
  active = false;
  cancelled = null;
  prepare = false;
  string = "";
  signature: unknown = "";
  parameters: unknown = undefined;
  prepared: unknown = false;
  describeFirst: unknown = false;

  // Used by the connection that sends it.
  /** The rows, or a {@linkcode DatabaseError}. */
  readonly outcome: PromiseWithResolvers<Rows<object>> = Promise.withResolvers();
  /** Called when it has ended, if it is observed. */
  stopObserving: ReturnType<StatementObserver>;
  /** Called when its turn has come. */
  begin: (() => void) | undefined;
  /** Whether it was sent; a statement that was not sent cannot have taken effect. */
  isSent = false;

  readonly #onEnd: EndListener;
  #hasEnded = false;

  constructor(
    text: string,
    parameters: readonly unknown[],
    protocol: Protocol,
    onEnd: EndListener,
  ) {
    this.strings = [text];
    this.args = parameters;
    this.options = OPTIONS[protocol];
    this.#onEnd = onEnd;
  }

  resolve(result: DriverResult): void {
    this.active = false;
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#onEnd(this, undefined, result);
  }

  reject(error: unknown): void {
    this.active = false;
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#onEnd(this, error);
  }
}

/** Disables everything that the driver does by itself: reconnects, queries, PG* variables. */
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
  debug: false,
  publications: "",
} satisfies postgres.Options<Record<string, never>> & { readonly sslnegotiation: null };

/**
 * A postgres.js client for one connection, used only to log in and to send one statement at a
 * time. Transactions are plain statements, because its `sql.begin` hangs if the connection is lost.
 */
export class Client {
  readonly #handler: (execution: Execution) => void;
  readonly #typed: (value: string, type: number) => unknown;

  /**
   * The options are parsed twice deliberately: the driver overrides an unset option with
   * PGTARGETSESSIONATTRS (and throws if it is `any`), but uses already parsed options unchanged.
   */
  constructor(options: ClientOptions) {
    const { options: parsed } = postgres({
      ...ONE_SHOT,
      host: options.host,
      port: options.port,
      user: options.user,
      database: options.database,
      prepare: options.prepare,
      // A function, so that the options of the client do not contain the password.
      password: () => options.password,
      target_session_attrs: "primary",
      onnotice: options.onNotice,
    });
    const { parsers } = parsed as unknown as { parsers: Record<number, (text: string) => unknown> };
    const exact = {
      ...parsed,
      host: [options.host],
      port: [options.port],
      target_session_attrs: null,
      connection: options.parameters,
      socket: options.socket,
      // Parameters are already text: their format must not depend on the type that the server
      // infers.
      serializers: {},
      parsers: { ...parsers, ...arrayParsers(parsers) },
    };
    const sql = postgres(exact as unknown as postgres.Options<Record<string, never>>);
    this.#handler = (sql`` as unknown as { handler: (execution: Execution) => void }).handler;
    this.#typed = (value, type) => sql.typed(value as never, type);
  }

  /** Sends a statement. Only one may be in progress. */
  send(execution: Execution): void {
    this.#handler(execution);
  }

  /** Converts parameters to the format of the driver. */
  bind(parameters: readonly SentParameter[]): readonly unknown[] {
    return parameters.map((one) =>
      one instanceof TypedText ? this.#typed(one.text, one.type) : one
    );
  }
}

function arrayParsers(
  parsers: Readonly<Record<number, (text: string) => unknown>>,
): Record<number, (text: string) => unknown> {
  const text = (element: string) => element;
  return Object.fromEntries(
    ARRAY_TYPES.map(([array, element]) => {
      const parse = parsers[element] ?? text;
      return [array, (all: string) => parseArray(all, parse)];
    }),
  );
}
