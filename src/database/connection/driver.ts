import type net from "node:net";
import postgres from "postgres";
import type { DatabaseError } from "../errors.ts";
import type { Rows } from "./sql.ts";
import { ARRAY_TYPES, parseArray, type SentParameter, TypedText } from "./values.ts";

/** What a {@linkcode Client} needs to know of its session. */
export interface ClientOptions {
  /** Host and port are only for error messages: the socket is already connected. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly database: string;
  readonly password: string;
  /** Run-time parameters of the start-up message. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Whether statements are prepared on the server and kept for their next use. */
  readonly prepare: boolean;
  /** Returns the one connected socket; throws when it is called again. */
  readonly socket: () => net.Socket;
  /** Called with every notice of the server; without it postgres.js prints them. */
  readonly onNotice: (notice: Readonly<Record<string, string>>) => void;
}

/** What the driver makes of an answer. For a COPY it is a stream instead. */
export interface DriverResult extends Array<object> {
  count: number | null;
  command: string | null;
  state: unknown;
  statement: unknown;
  columns: unknown;
}

/** What PostgreSQL gives a session at its start, to prove who may cancel its statements. */
export interface BackendKey {
  readonly pid: number;
  readonly secret: number;
}

/**
 * How a statement is sent: `simple` takes several statements and no parameters; the others take one,
 * which the server keeps `prepared` for its next use, or does not.
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

/** A statement that was answered, or never will be. */
export interface EndedStatement {
  /** Its first word in upper case, such as `SELECT`; `UNKNOWN` when it has none. */
  readonly command: string;
  /** With placeholders for parameters. */
  readonly text: string;
  /** As it is configured. */
  readonly host: string;
  /** As it is configured. */
  readonly port: number;
  /** What it failed with; undefined when it succeeded. */
  readonly error: DatabaseError | undefined;
}

/** Called once for each statement: with its result, or with what it failed with. */
export type EndListener = (execution: Execution, error: unknown, result?: DriverResult) => void;

/**
 * One statement in the driver's hands: its `Query` without the helpers and the streams. The driver
 * calls `resolve` or `reject` when the server is ready for the next statement, or `reject` at once
 * when the socket fails.
 *
 * A class with methods, and not the driver's own with two closures for each statement: V8 takes a
 * closure that is assigned to a property for one that stays, so that every statement would live,
 * with its rows, until the next full collection (docs/benchmarks.md, "Statements that die young").
 */
export class Execution {
  // Read by the driver. What it assigns later is here too, so that all have one hidden class.
  readonly tagged = false;
  readonly strings: readonly [string];
  readonly args: readonly unknown[];
  readonly options: { readonly simple: boolean };
  readonly origin = "";
  /** Assigned by the driver when it sends the statement: the session's key. */
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

  // Of the connection that sends it.
  /** The rows, or a {@linkcode DatabaseError}. */
  readonly settle: PromiseWithResolvers<Rows<object>> = Promise.withResolvers();
  /** Called when it has ended, if somebody observes it. */
  stopObserving: ReturnType<StatementObserver>;
  /** Called when its turn has come. */
  begin: (() => void) | undefined;
  /** What was not sent was surely not done. */
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
  debug: false,
  publications: "",
} satisfies postgres.Options<Record<string, never>> & { readonly sslnegotiation: null };

/**
 * A postgres.js client for one connection, used only to log in and to send one statement at a
 * time. Transactions are plain statements: its `sql.begin` hangs when the connection dies.
 */
export class Client {
  readonly #handler: (execution: Execution) => void;
  readonly #typed: (value: string, type: number) => unknown;

  /**
   * The options are parsed twice on purpose: the driver lets PGTARGETSESSIONATTRS win over an unset
   * option (and throws when it is `any`), but takes options that it has parsed as they are.
   */
  constructor(options: ClientOptions) {
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
    const { parsers } = parsed as unknown as { parsers: Record<number, (text: string) => unknown> };
    const exact = {
      ...parsed,
      host: [options.host],
      port: [options.port],
      target_session_attrs: null,
      connection: options.parameters,
      socket: options.socket,
      // Parameters are text already: what a value becomes must not depend on the type that the
      // server infers for it.
      serializers: {},
      parsers: { ...parsers, ...arrayParsers(parsers) },
    };
    const sql = postgres(exact as unknown as postgres.Options<Record<string, never>>);
    this.#handler = (sql`` as unknown as { handler: (execution: Execution) => void }).handler;
    this.#typed = (value, type) => sql.typed(value as never, type);
  }

  /** Sends a statement. Only one may be under way. */
  send(execution: Execution): void {
    this.#handler(execution);
  }

  /** Parameters as the driver takes them. */
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
