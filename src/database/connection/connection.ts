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

/** PostgreSQL's Terminate message. */
const TERMINATE = new Uint8Array(["X".charCodeAt(0), 0, 0, 0, 4]);

/** Maximum time for a clean close, before the socket is destroyed. */
const END_GRACE_MS = 1000;

/**
 * Limits of the prepared statements of a session whose texts vary from one use to the next. Without
 * them a statement for each length of a list would fill the server's memory.
 */
const MAX_VARIABLE_TEXTS = 256;
const MAX_VARIABLE_LENGTH = 8192;

/** Role of a server, as seen by a session. */
export interface ServerRole {
  /** The server is a standby in recovery. */
  readonly inRecovery: boolean;
  /** Transactions are read-only, because of the role of the server or of a setting. */
  readonly readOnly: boolean;
}

/** Identifies a server process from its start to its stop, independent of the address used. */
export interface ServerRun {
  /** Address and port of the server, as the server reports them. */
  readonly address: string;
  /** Start time of the server, as text in the format of the server. */
  readonly startedAt: string;
}

/** What a connection is waiting for. */
export interface Wait {
  /** Distinct for each statement. */
  readonly statement: unknown;
  /** Number of times that data has arrived from the server. */
  readonly heardCount: number;
}

/** Address, login and hooks of a connection; see {@linkcode ClientOptions}. */
export interface ConnectionOptions extends Omit<ClientOptions, "socket"> {
  /** Opens another socket to the same server, encrypted in the same way, for cancel requests. */
  readonly dial: (signal: AbortSignal) => Promise<net.Socket>;
  readonly config: PoolerConfig;
  readonly observeStatement?: StatementObserver | undefined;
}

/** Result of the query for the role. */
interface RoleRow {
  readonly in_recovery: boolean;
  readonly read_only: boolean;
  readonly pid: number;
  readonly schema: string | null;
  readonly server_started_at: string;
  readonly server_address: string;
}

/** Why a statement must not be sent; undefined if it may be. */
type BlockedBy = () => DatabaseError | undefined;

/** With the code of the driver. */
function closedError(): Error {
  return Object.assign(new Error("The connection has closed"), { code: "CONNECTION_CLOSED" });
}

/**
 * One session on one socket. Wraps a postgres.js client that connects only once: after its socket
 * has closed it must not be used, because the driver would silently continue in a new session.
 * Opened by `connect`.
 *
 * Statements are sent one at a time, in the order of their calls, so that a failed or cancelled
 * statement, or one with a stale plan, affects no other. Each settles when the server is ready for
 * the next (ReadyForQuery), so that the transaction status is known.
 */
export class Connection implements Resource, AsyncDisposable {
  /** Runs statements. They fail immediately if the connection is closed. */
  readonly sql: Sql;
  /** When the socket was connected. */
  readonly createdAt: Date = new Date();
  /** Resolves when the socket has closed, for any reason. Never rejects. */
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
  /** Errors of statements that were sent but not answered. */
  readonly #unanswered = new WeakSet<object>();
  /** Prepared texts that vary from one use to the next. */
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
   * @param socket Connected and, if required, encrypted; owned by the connection from now on.
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
    // The server closes both directions after its last message, so no answer can follow.
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

  /** Whether the connection is closed and must not be used. */
  get closed(): boolean {
    return this.#closed || this.#ending || this.#socket.destroyed;
  }

  /** Whether a transaction is open; valid only while no statement runs. */
  get isInTransaction(): boolean {
    return this.#wire.isInTransaction;
  }

  /** Whether a statement is running or waiting for its turn. */
  get isBusy(): boolean {
    return this.#running !== undefined;
  }

  /** Process id of the server's backend, or of the connection pooler in front of it. */
  get backendPid(): number {
    return this.#backendKey.pid;
  }

  /** Identity of the server process; undefined before login. */
  get serverRun(): ServerRun | undefined {
    return this.#serverRun;
  }

  /** Role of the server at the last check; undefined before login. */
  get lastRole(): ServerRole | undefined {
    return this.#lastRole;
  }

  /**
   * The pooler between the connection and its server, if any, as of the last check of the role.
   *
   * @internal
   */
  get pooler(): Pick<PoolerCheck, "isPooled" | "serverPid"> {
    return this.#pooler;
  }

  /**
   * What it is waiting for; undefined while no statement runs.
   *
   * @internal
   */
  get wait(): Wait | undefined {
    const statement = this.#running;
    return statement && { statement, heardCount: this.#wire.chunkCount };
  }

  /**
   * Logs in and queries the role of the server.
   *
   * @internal
   * @throws {DatabaseError} Classified; the connection is then destroyed.
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
   * Queries the role of the server, and verifies that the session matches DB_POOLER.
   *
   * @throws {DatabaseError} As for a statement; `POOLER_MISMATCH`.
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
   * Runs a statement after those before it have ended.
   *
   * @internal
   * @param blockedBy Called before the statement is sent; returns why it must not be sent, if so.
   * @throws {DatabaseError} The error of the server; what blocks it; `CONNECTION_LOST`, or the reason
   * of {@linkcode Connection.destroy}.
   */
  run(
    { text, parameters, prepare, isTyped, isVariable }: StatementText,
    blockedBy?: BlockedBy,
  ): Promise<Rows<object>> {
    const bound = isTyped ? this.#client.bind(parameters) : parameters;
    const isPrepared = prepare && (!isVariable || this.#mayKeepPrepared(text));
    const protocol = isPrepared ? "prepared" : "unprepared";
    return this.#begin(new Execution(text, bound, protocol, this.#onEnd), blockedBy);
  }

  /**
   * Runs a script with the simple query protocol: one or more statements in a single round trip,
   * without prepared statements. COPY is refused and destroys the connection.
   *
   * @param blockedBy Called before the script is sent; returns why it must not be sent, if so.
   * @throws {DatabaseError} The error of the server; what blocks it; `CONNECTION_LOST`, or the reason
   * of {@linkcode Connection.destroy}.
   */
  script(text: string, blockedBy?: () => DatabaseError | undefined): Promise<Rows<object>> {
    return this.#begin(new Execution(text, [], "simple", this.#onEnd), blockedBy);
  }

  /** Resolves when no statement is running or waiting. Never rejects. */
  async untilIdle(): Promise<void> {
    while (this.isBusy) await (this.#idle ??= Promise.withResolvers()).promise;
  }

  /**
   * Asks the server to cancel the running statement; see {@linkcode requestCancel} for the
   * guarantees when it resolves or rejects.
   */
  async cancel(signal: AbortSignal): Promise<void> {
    await requestCancel(this.#backendKey, this.#options.dial, signal);
  }

  /**
   * Whether a statement that failed with this error may have taken effect: it was sent, and no
   * answer arrived.
   *
   * @internal
   */
  isUnanswered(error: unknown): boolean {
    return error instanceof DatabaseError && this.#unanswered.has(error);
  }

  /** Terminates the session and waits for the close, for at most about a second. Never rejects. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#ending = true;
    // Not the driver's `end`, which leaves queued statements pending forever.
    this.#socket.end(TERMINATE);
    using grace = new Deadline({
      timeoutMs: END_GRACE_MS,
      onTimeout: () => new DatabaseError("CONNECTION_LOST"),
    });
    await abortable(this.whenClosed, grace.signal).catch(() => this.destroy());
  }

  /**
   * Closes the socket immediately. Running statements fail, with `reason` if given. The server ends
   * the session when it notices, possibly only after the statement.
   */
  destroy(reason?: DatabaseError): void {
    this.#reason ??= reason;
    this.#socket.destroy();
    // Immediately rather than on the close event, which can take longer.
    this.#failSent(closedError());
  }

  /** As {@linkcode Connection.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A pooler in session mode accepts settings only after login. */
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

  /** Sends the statement, or queues it. */
  #begin(statement: Execution, blockedBy: BlockedBy | undefined): Promise<Rows<object>> {
    if (this.#running === undefined) {
      this.#running = statement;
      this.#send(statement, blockedBy);
    } else {
      // With a promise, so that it is sent in the asynchronous context of its caller.
      const turn = Promise.withResolvers<void>();
      statement.begin = turn.resolve;
      this.#queue.push(statement);
      void turn.promise.then(() => this.#send(statement, blockedBy));
    }
    return statement.outcome.promise;
  }

  #send(statement: Execution, blockedBy: BlockedBy | undefined): void {
    const reason = this.closed ? this.#loss(closedError()) : blockedBy?.();
    if (reason !== undefined) return statement.reject(reason);
    statement.stopObserving = this.#options.observeStatement?.();
    statement.isSent = true;
    this.#client.send(statement);
  }

  /** Fails statements that wait for an answer; queued ones are refused at their turn. */
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
    if (rows === undefined) return statement.outcome.reject(failure);
    // After a statement that failed in the middle of its rows, the driver goes on at their number.
    if (rows.length > 0 && !(0 in rows)) rows.splice(0, rows.findIndex((row) => row !== undefined));
    rows.count ??= 0;
    rows.command ??= "";
    // Not for users: the key of the session, and what the driver keeps of the statement.
    rows.state = rows.statement = rows.columns = null;
    statement.outcome.resolve(rows as unknown as Rows<object>);
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
    // After an error inside the driver, its state is undefined.
    if (!isAnswer) this.destroy();
    const known = classify(error);
    const failure = this.closed && known.sqlState === undefined ? this.#loss(error) : known;
    const wasRefused = this.#wire.lossCode !== "CONNECTION_LOST";
    if (!isAnswer && !wasRefused) this.#unanswered.add(failure);
    return failure;
  }

  /** The driver would never settle a COPY statement. */
  #refuseCopy(stream: Stream): DatabaseError {
    // An unhandled error event terminates the process.
    stream.on("error", () => {});
    this.destroy();
    return new DatabaseError("INVALID_USE", { message: "COPY with the client is not supported" });
  }

  /** The error of statements that fail because the connection is closed. */
  #loss(cause: unknown): DatabaseError {
    if (this.#reason !== undefined) {
      const { code, message } = this.#reason;
      return new DatabaseError(code, { message, cause });
    }
    const { lossCode, fatalError } = this.#wire;
    const best = fatalError ?? this.#socketError ?? cause;
    return new DatabaseError(lossCode, { message: fatalError?.message, cause: best });
  }

  /**
   * The driver calls this again after a close, for queued statements, which have failed by then.
   */
  #handOutSocket(): net.Socket {
    if (this.#handedOut || this.closed) throw closedError();
    this.#handedOut = true;
    // Before the listener of the driver, so that the status is known when a statement ends.
    this.#socket.on("data", this.#hear);
    return this.#socket;
  }

  readonly #hear = (chunk: Uint8Array): void => {
    this.#wire.hear(chunk);
    // An idle session would otherwise be acquired again before the server has closed it.
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
