import type net from "node:net";
import { Stream } from "node:stream";
import { requestCancel } from "./cancel.ts";
import {
  type BackendKey,
  Client,
  type ClientOptions,
  type DriverResult,
  Execution,
  type StatementObserver,
} from "./driver.ts";
import { abortReason, classify, DatabaseError } from "../errors.ts";
import { OUTPUT_FORMATS, PoolerCheck, type PoolerConfig, searchPath } from "./pooler.ts";
import type { Resource } from "../pool/mod.ts";
import { createSql, type Rows, type Sql, type StatementText } from "./sql.ts";
import { Wire } from "./wire.ts";
import { abortable, Deadline } from "../../time.ts";

/** PostgreSQL's message that ends a session. */
const TERMINATE = new Uint8Array(["X".charCodeAt(0), 0, 0, 0, 4]);

/** How long a polite close may take before the socket is destroyed. */
const END_GRACE_MS = 1000;

/**
 * How many texts a session keeps prepared of those that differ from one use to the next, and how
 * long each of them may be. A list or rows of every length would else fill the server's memory.
 */
const MAX_VARIABLE_TEXTS = 256;
const MAX_VARIABLE_LENGTH = 8192;

/** What a server is at the moment, as a new session sees it. */
export interface ServerRole {
  /** The server is a standby that replays another's changes. */
  readonly inRecovery: boolean;
  /** Transactions may not write, because of the role or of a setting. */
  readonly readOnly: boolean;
}

/** One run of one server, as it reports itself: whatever address leads to it. */
export interface ServerRun {
  /** Its own address and port. */
  readonly address: string;
  /** When it was started, as the server writes it. */
  readonly startedAt: string;
}

/** What a connection is waiting for, at one moment. */
export interface Wait {
  /** A different one for each statement. */
  readonly statement: unknown;
  /** How many times something has come from the server. */
  readonly heardCount: number;
}

/** Where and as whom a connection logs in; see {@linkcode ClientOptions}. */
export interface ConnectionOptions extends Omit<ClientOptions, "socket"> {
  /** Opens another socket to the same server, encrypted in the same way; for cancel requests. */
  readonly dial: (signal: AbortSignal) => Promise<net.Socket>;
  readonly config: PoolerConfig;
  readonly observeStatement?: StatementObserver | undefined;
}

/** The answer to the question for the role. */
interface RoleRow {
  readonly in_recovery: boolean;
  readonly read_only: boolean;
  readonly pid: number;
  readonly schema: string | null;
  readonly server_started_at: string;
  readonly server_address: string;
}

/** Why a statement must not be sent any more; undefined while it may be. */
type Refusal = () => DatabaseError | undefined;

/** As the driver spells it. */
function closedError(): Error {
  return Object.assign(new Error("The connection has closed"), { code: "CONNECTION_CLOSED" });
}

/**
 * One session on one socket: a postgres.js client that connects once and is never used again after
 * its socket has closed, because the driver would silently continue on a new session. Opened by
 * `connect`.
 *
 * Statements are sent one at a time, in the order of their calls: a statement that fails, that is
 * cancelled, or whose plan has become stale then affects no other, and each settles exactly when
 * the server is ready for the next (ReadyForQuery), so that the transaction status is known.
 */
export class Connection implements Resource, AsyncDisposable {
  /** Runs statements. They fail at once when the connection is closed. */
  readonly sql: Sql;
  /** When the socket was connected. */
  readonly createdAt: Date = new Date();
  /** Resolves when the socket has closed, for whatever reason. Never rejects. */
  readonly whenClosed: Promise<void>;

  readonly #options: ConnectionOptions;
  readonly #socket: net.Socket;
  readonly #client: Client;
  readonly #pooler: PoolerCheck;
  readonly #wire = new Wire();
  #running: Execution | undefined;
  /** Statements that wait for their turn. */
  readonly #queue: Execution[] = [];
  #idle: PromiseWithResolvers<void> | undefined;
  /** What statements failed with whose answers were lost. */
  readonly #unanswered = new WeakSet<object>();
  /** Texts that are prepared although they can differ the next time. */
  readonly #variableTexts = new Set<string>();
  #backendKey: BackendKey = { pid: 0, secret: 0 };
  #serverRun: ServerRun | undefined;
  #lastRole: ServerRole | undefined;
  #closed: boolean;
  #ending = false;
  #handedOut = false;
  #reason: DatabaseError | undefined;
  #socketError: unknown;

  /**
   * @internal
   * @param socket Connected and, if wanted, encrypted; owned by the connection from now on.
   */
  constructor(socket: net.Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#pooler = new PoolerCheck(options.config);
    this.#closed = socket.destroyed;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.whenClosed = promise;
    socket.once("close", () => {
      this.#closed = true;
      this.#failSent(closedError());
      resolve();
    });
    // The server closes both directions at once, after its last message: no answer can follow.
    socket.once("end", () => socket.destroy());
    socket.on("error", (error) => {
      this.#socketError ??= error;
      this.#failSent(error);
    });
    if (this.#closed) resolve();
    this.#client = new Client({ ...options, socket: () => this.#handOutSocket() });
    this.sql = createSql({
      run: (statement) => this.run(statement),
      isInTransaction: async () => {
        await this.untilIdle();
        return this.isInTransaction;
      },
      cursors: new Set(),
    });
  }

  /** Whether the connection must not be used any more. */
  get closed(): boolean {
    return this.#closed || this.#ending || this.#socket.destroyed;
  }

  /** Whether a transaction is open; valid only while no statement runs. */
  get isInTransaction(): boolean {
    return this.#wire.isInTransaction;
  }

  /** Whether a statement runs or waits for its turn. */
  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** Process id of the server's backend; behind a connection pooler, the pooler's. */
  get backendPid(): number {
    return this.#backendKey.pid;
  }

  /** The server's present run; undefined before the start-up. */
  get serverRun(): ServerRun | undefined {
    return this.#serverRun;
  }

  /** What the server was when it was asked last; undefined before the start-up. */
  get lastRole(): ServerRole | undefined {
    return this.#lastRole;
  }

  /**
   * What is between the connection and its server, as the last look at its role showed.
   *
   * @internal
   */
  get pooler(): Pick<PoolerCheck, "isPooled" | "serverPid"> {
    return this.#pooler;
  }

  /**
   * What it is waiting for; undefined while nothing runs.
   *
   * @internal
   */
  get wait(): Wait | undefined {
    const statement = this.#running;
    return statement && { statement, heardCount: this.#wire.chunkCount };
  }

  /**
   * Logs in and asks the server for its role.
   *
   * @internal
   * @throws {DatabaseError} Classified; the connection is destroyed then.
   */
  async startup(signal: AbortSignal): Promise<ServerRole> {
    try {
      return await abortable(this.#openSession(), signal, abortReason);
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  /**
   * Asks the server for its role, and checks that the session is what DB_POOLER says.
   *
   * @throws {DatabaseError} As a statement; `POOLER_MISMATCH`.
   */
  async role(): Promise<ServerRole> {
    const [row] = await this.script(ROLE) as Rows<RoleRow>;
    if (row === undefined) throw new DatabaseError("CONNECTION_REJECTED");
    this.#serverRun = { address: row.server_address, startedAt: String(row.server_started_at) };
    const { pid: serverPid, schema } = row;
    this.#pooler.verify({ keyPid: this.#backendKey.pid, serverPid, schema });
    this.#lastRole = { inRecovery: row.in_recovery, readOnly: row.read_only };
    return this.#lastRole;
  }

  /**
   * Runs one statement when those before it have ended.
   *
   * @internal
   * @param refusal Asked when its turn has come: why it must not be sent any more.
   * @throws {DatabaseError} What the server answered; the refusal; `CONNECTION_LOST`, or why the
   * connection was destroyed.
   */
  run(
    { text, parameters, prepare, isTyped, isVariable }: StatementText,
    refusal?: Refusal,
  ): Promise<Rows<object>> {
    const bound = isTyped ? this.#client.bind(parameters) : parameters;
    const isPrepared = prepare && (!isVariable || this.#mayKeepPrepared(text));
    const protocol = isPrepared ? "prepared" : "unprepared";
    return this.#begin(new Execution(text, bound, protocol, this.#onEnd), refusal);
  }

  /**
   * Runs text as it is by the simple query protocol: it can hold several statements, needs one
   * round trip, and leaves nothing prepared. COPY is refused, and costs the connection.
   *
   * @param refusal Asked when its turn has come: why it must not be sent any more.
   * @throws {DatabaseError} What the server answered; the refusal; `CONNECTION_LOST`, or why the
   * connection was destroyed.
   */
  script(text: string, refusal?: () => DatabaseError | undefined): Promise<Rows<object>> {
    return this.#begin(new Execution(text, [], "simple", this.#onEnd), refusal);
  }

  /** Resolves when no statement runs or waits for its turn. Never rejects. */
  async untilIdle(): Promise<void> {
    while (this.isBusy) await (this.#idle ??= Promise.withResolvers()).promise;
  }

  /**
   * Asks the server to cancel what runs here; see {@linkcode requestCancel} for what it proves when
   * it resolves, and what is open when it rejects.
   */
  async cancel(signal: AbortSignal): Promise<void> {
    await requestCancel(this.#backendKey, this.#options.dial, signal);
  }

  /**
   * Whether a statement that failed with this error may have been done: it was sent, and no answer
   * came.
   *
   * @internal
   */
  isUnanswered(error: unknown): boolean {
    return error instanceof DatabaseError && this.#unanswered.has(error);
  }

  /** Ends the session and waits for the close, at most about a second. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#ending = true;
    // Not the driver's `end`: it leaves statements that it has queued pending forever.
    this.#socket.end(TERMINATE);
    using grace = new Deadline({
      timeoutMs: END_GRACE_MS,
      onTimeout: () => new DatabaseError("CONNECTION_LOST"),
    });
    await abortable(this.whenClosed, grace.signal).catch(() => this.destroy());
  }

  /**
   * Closes the socket at once. Running statements fail, with `reason` if given. The server ends the
   * session when it notices, which can be after the statement.
   */
  destroy(reason?: DatabaseError): void {
    this.#reason ??= reason;
    this.#socket.destroy();
    // Now, and not with the socket's close: whoever destroys has waited long enough.
    this.#failSent(closedError());
  }

  /** As {@linkcode Connection.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A pooler in session mode takes settings only once the session has begun. */
  async #openSession(): Promise<ServerRole> {
    const { config } = this.#options;
    if (config.pooler === "session") {
      const settings = { search_path: searchPath(config), ...OUTPUT_FORMATS };
      await this.sql`
        select pg_catalog.set_config(name, setting, false)
        from pg_catalog.json_each_text(${JSON.stringify(settings)}) as settings (name, setting)
      `;
    }
    return await this.role();
  }

  #mayKeepPrepared(text: string): boolean {
    if (this.#variableTexts.has(text)) return true;
    if (text.length > MAX_VARIABLE_LENGTH) return false;
    if (this.#variableTexts.size === MAX_VARIABLE_TEXTS) return false;
    this.#variableTexts.add(text);
    return true;
  }

  /** Sends the statement, or lets it wait for its turn. */
  #begin(statement: Execution, refusal: Refusal | undefined): Promise<Rows<object>> {
    if (this.#running === undefined) {
      this.#running = statement;
      this.#send(statement, refusal);
    } else {
      // By a promise, so that it is sent in the asynchronous context of its caller.
      const turn = Promise.withResolvers<void>();
      statement.begin = turn.resolve;
      this.#queue.push(statement);
      void turn.promise.then(() => this.#send(statement, refusal));
    }
    return statement.settle.promise;
  }

  #send(statement: Execution, refusal: Refusal | undefined): void {
    const reason = this.closed ? this.#loss(closedError()) : refusal?.();
    if (reason !== undefined) return statement.reject(reason);
    statement.stopObserving = this.#options.observeStatement?.();
    statement.isSent = true;
    this.#client.send(statement);
  }

  /** Ends what waits for an answer; what waits for its turn is refused when that comes. */
  #failSent(error: Error): void {
    if (this.#running?.isSent) this.#running.reject(error);
  }

  readonly #onEnd = (statement: Execution, error: unknown, result?: DriverResult): void => {
    this.#running = this.#queue.shift();
    if (this.#running !== undefined) {
      this.#running.begin?.();
    } else if (this.#idle !== undefined) {
      this.#idle.resolve();
      this.#idle = undefined;
    }
    if (statement.state !== null) this.#backendKey = statement.state;
    const rows = Array.isArray(result) ? result : undefined;
    const failure = rows === undefined ? this.#failureOf(error, result) : undefined;
    if (statement.stopObserving !== undefined) this.#observeEnd(statement, failure);
    if (rows === undefined) return statement.settle.reject(failure);
    // After a statement that failed in the middle of its rows, the driver goes on at their number.
    if (rows.length > 0 && !(0 in rows)) rows.splice(0, rows.findIndex((row) => row !== undefined));
    rows.count ??= 0;
    rows.command ??= "";
    // Not for users: the key of the session, and what the driver keeps of the statement.
    rows.state = rows.statement = rows.columns = null;
    statement.settle.resolve(rows as unknown as Rows<object>);
  };

  #observeEnd(statement: Execution, error: DatabaseError | undefined): void {
    const { host, port } = this.#options;
    const [text] = statement.strings;
    const [word = "unknown"] = /[a-z]+/i.exec(text) ?? [];
    statement.stopObserving?.({
      command: word.toUpperCase(),
      text: text.trim(),
      host,
      port,
      error,
    });
  }

  #failureOf(error: unknown, result: unknown): DatabaseError {
    if (error instanceof DatabaseError) return error;
    if (result instanceof Stream) return this.#refuseCopy(result);
    const isAnswer = error instanceof Error && error.name === "PostgresError";
    // The driver has failed, and nobody knows what it makes of the next answer.
    if (!isAnswer) this.destroy();
    const known = classify(error);
    const failure = this.closed && known.sqlState === undefined ? this.#loss(error) : known;
    const wasRefused = this.#wire.lossCode !== "CONNECTION_LOST";
    if (!isAnswer && !wasRefused) this.#unanswered.add(failure);
    return failure;
  }

  /** The driver would never end the statement. */
  #refuseCopy(stream: Stream): DatabaseError {
    // An error that nobody listens to ends the process.
    stream.on("error", () => {});
    this.destroy();
    return new DatabaseError("INVALID_USE", { message: "COPY with the client is not supported" });
  }

  /** The error for what fails because the connection is closed. */
  #loss(cause: unknown): DatabaseError {
    if (this.#reason !== undefined) {
      const { code, message } = this.#reason;
      return new DatabaseError(code, { message, cause });
    }
    const { lossCode, fatalError } = this.#wire;
    const best = fatalError ?? this.#socketError ?? cause;
    return new DatabaseError(lossCode, { message: fatalError?.message, cause: best });
  }

  /** The driver asks again after a close, for what it has queued; that has failed by then. */
  #handOutSocket(): net.Socket {
    if (this.#handedOut || this.closed) throw closedError();
    this.#handedOut = true;
    // Before the driver listens, so that the status is known when a statement ends.
    this.#socket.on("data", this.#hear);
    return this.#socket;
  }

  readonly #hear = (chunk: Uint8Array): void => {
    this.#wire.hear(chunk);
    // Until the server's process has gone too, an idle session would be lent again.
    if (this.#running === undefined && this.#wire.fatalError !== undefined) this.#socket.destroy();
  };
}

const ROLE = `
  select pg_catalog.pg_is_in_recovery() as in_recovery,
    pg_catalog.current_setting('transaction_read_only') = 'on' as read_only,
    pg_catalog.pg_backend_pid() as pid, pg_catalog.current_schema() as schema,
    pg_catalog.pg_postmaster_start_time() as server_started_at,
    pg_catalog.concat_ws(' ', pg_catalog.inet_server_addr(), pg_catalog.inet_server_port())
      as server_address
`;
