import type net from "node:net";
import { type BackendKey, requestCancel } from "./cancel.ts";
import { abortable, Deadline } from "../deadline.ts";
import { type ClientOptions, createClient, type Sql } from "./driver.ts";
import { classify, DatabaseError, isDatabaseFailure } from "../errors.ts";
import { Farewell } from "./farewell.ts";
import { intercept } from "./intercept.ts";
import { observeStatements, type StatementObserver } from "./observed_statements.ts";
import { PoolerCheck, type PoolerConfig, searchPath } from "./pooler.ts";
import { RunningStatements } from "./running_statements.ts";
import type { Resource } from "../pool/mod.ts";
import type { StatementListener } from "./statement.ts";
import { TransactionStatus } from "./transaction_status.ts";

/** PostgreSQL's message that ends a session. */
const TERMINATE = new Uint8Array(["X".charCodeAt(0), 0, 0, 0, 4]);

/** As the driver spells it. */
function closedError(): Error {
  return Object.assign(new Error("The connection has closed"), { code: "CONNECTION_CLOSED" });
}

/** How long a polite close may take before the socket is destroyed. */
const END_GRACE_MS = 1000;

/** What a server is at the moment, as a new session sees it. */
export interface ServerRole {
  /** The server is a standby that replays another's changes. */
  readonly inRecovery: boolean;
  /** Transactions may not write, because of the role or of a setting. */
  readonly readOnly: boolean;
}

/** Who connects, where and how; see {@linkcode ClientOptions}. */
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

/** One run of one server, as it says itself: whatever address leads to it. */
export interface ServerRun {
  readonly address: string;
  readonly startedAt: string;
}

/** What a connection is waiting for, at one moment. */
export interface Wait {
  /** Another one for each statement. */
  readonly statement: unknown;
  /** How many times something has come from the server. */
  readonly heardCount: number;
}

/**
 * One session on one socket: a postgres.js client that connects once and is
 * never used again after its socket has closed, because the driver would
 * silently continue on a new session. Opened by `connect`.
 */
export class Connection implements Resource, AsyncDisposable {
  /** Runs statements. They fail at once when the connection is closed. */
  readonly sql: Sql;
  readonly createdAt = new Date();
  /** Resolves when the socket has closed, for whatever reason. Never rejects. */
  readonly whenClosed: Promise<void>;

  readonly #socket: net.Socket;
  readonly #dial: ConnectionOptions["dial"];
  readonly #config: PoolerConfig;
  readonly #pooler: PoolerCheck;
  readonly #farewell = new Farewell();
  readonly #transaction = new TransactionStatus();
  readonly #statements = new RunningStatements({
    refusal: () => this.closed ? this.#loss(closedError()) : undefined,
    onMixUp: () => {
      this.destroy();
      return closedError();
    },
  });
  #backendKey: BackendKey = { pid: 0, secret: 0 };
  #serverRun: ServerRun | undefined;
  #lastRole: ServerRole | undefined;
  #closed: boolean;
  #ending = false;
  #handedOut = false;
  #heardCount = 0;
  #reason: DatabaseError | undefined;
  #socketError: unknown;

  /** @param socket Connected and, if wanted, encrypted; owned by the connection from now on. */
  constructor(socket: net.Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#dial = options.dial;
    this.#config = options.config;
    this.#pooler = new PoolerCheck(options.config);
    this.#closed = socket.destroyed;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.whenClosed = promise;
    socket.once("close", () => {
      this.#closed = true;
      this.#statements.failAll(closedError());
      resolve();
    });
    // The server closes both directions at once, and says goodbye first: no answer can follow.
    socket.once("end", () => socket.destroy());
    socket.on("error", (error) => {
      this.#socketError ??= error;
      // Before the driver does, which would give the stream of a COPY an error of its own.
      this.#statements.failAll(error);
    });
    if (this.#closed) resolve();
    const client = createClient({ ...options, socket: () => this.#handOutSocket() });
    this.sql = intercept(client, this.#listener(options));
  }

  /** Whether the connection must not be used any more. */
  get closed(): boolean {
    return this.#closed || this.#ending || this.#socket.destroyed;
  }

  /** Whether a transaction is open. Means something only while nothing runs. */
  get isInTransaction(): boolean {
    return this.#transaction.isOpen;
  }

  /** Process id of the server's backend; behind a connection pooler, the pooler's. */
  get backendPid(): number {
    return this.#backendKey.pid;
  }

  /** The server's present run; undefined before the start-up. */
  get serverRun(): ServerRun | undefined {
    return this.#serverRun;
  }

  /** What it is waiting for; undefined while nothing runs, and while its user reads a COPY. */
  get wait(): Wait | undefined {
    const { first } = this.#statements;
    if (first === undefined || first.copy !== undefined) return undefined;
    return { statement: first, heardCount: this.#heardCount };
  }

  /**
   * Does the start-up and asks the server for its role.
   *
   * @throws {DatabaseError} Classified; the connection is destroyed then.
   */
  async startup(signal: AbortSignal): Promise<ServerRole> {
    try {
      return await abortable(this.#begin(), signal);
    } catch (error) {
      const explained = this.explain(error);
      this.destroy();
      throw explained;
    }
  }

  /** What the server was when it was asked last; undefined before the start-up. */
  get lastRole(): ServerRole | undefined {
    return this.#lastRole;
  }

  /** What stands between the connection and its server, as the last look at its role showed. */
  get pooler(): Pick<PoolerCheck, "isPooled" | "serverPid"> {
    return this.#pooler;
  }

  /**
   * Asks the server for its role, and whether the session is what DB_POOLER says.
   *
   * @throws As a statement of `sql` does; see {@linkcode Connection.explain}.
   */
  async role(): Promise<ServerRole> {
    // The simple protocol needs one round trip and leaves nothing prepared.
    const rows = await this.sql<RoleRow[]>`
      select pg_catalog.pg_is_in_recovery() as in_recovery,
        pg_catalog.current_setting('transaction_read_only') = 'on' as read_only,
        pg_catalog.pg_backend_pid() as pid, pg_catalog.current_schema() as schema,
        pg_catalog.pg_postmaster_start_time() as server_started_at,
        pg_catalog.concat_ws(' ', pg_catalog.inet_server_addr(), pg_catalog.inet_server_port())
          as server_address
    `.simple();
    const [row] = rows;
    if (row === undefined) throw new DatabaseError("CONNECTION_REJECTED");
    this.#serverRun = { address: row.server_address, startedAt: String(row.server_started_at) };
    this.#backendKey = { pid: rows.state.pid, secret: rows.state.secret };
    this.#pooler.verify({ keyPid: rows.state.pid, serverPid: row.pid, schema: row.schema });
    this.#lastRole = { inRecovery: row.in_recovery, readOnly: row.read_only };
    return this.#lastRole;
  }

  /**
   * Asks the server to cancel what runs here; see {@linkcode requestCancel} for
   * what it proves when it resolves, and what is open when it rejects.
   */
  async cancel(signal: AbortSignal): Promise<void> {
    await requestCancel(this.#backendKey, this.#dial, signal);
  }

  /**
   * The typed error for what a statement on this connection threw. Errors that
   * are not the database's are returned as they are.
   */
  explain(error: unknown): unknown {
    if (error instanceof DatabaseError || !isDatabaseFailure(error)) return error;
    const known = classify(error);
    return this.closed && known.sqlState === undefined ? this.#loss(error) : known;
  }

  /**
   * Whether a statement that threw this may have been done: it was sent, and no answer came. What
   * fails without being sent throws a `DatabaseError`.
   */
  isUnanswered(error: unknown): boolean {
    if (error instanceof DatabaseError || !isDatabaseFailure(error)) return false;
    return error.name !== "PostgresError" && !this.#farewell.isTelling;
  }

  /** Says goodbye to the server and waits for the close, at most about a second. Never rejects. */
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
   * Closes the socket at once. Running statements fail, with `reason` if given.
   * The server ends the session when it notices, which can be after the statement.
   */
  destroy(reason?: DatabaseError): void {
    this.#reason ??= reason;
    this.#socket.destroy();
    // Now, and not with the socket's close: whoever destroys has waited long enough.
    this.#statements.failAll(closedError());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A pooler in session mode takes the search path only once the session has begun. */
  async #begin(): Promise<ServerRole> {
    if (this.#config.pooler === "session") {
      const path = searchPath(this.#config);
      await this.sql`select pg_catalog.set_config('search_path', ${path}, false)`;
    }
    return await this.role();
  }

  #listener({ host, port, observeStatement }: ConnectionOptions): StatementListener {
    if (observeStatement === undefined) return this.#statements;
    const explain = (error: unknown) => this.explain(error);
    return observeStatements(this.#statements, observeStatement, { host, port, explain });
  }

  /** The error for what fails because the connection is closed. */
  #loss(cause: unknown): DatabaseError {
    if (this.#reason !== undefined) {
      const { code, message } = this.#reason;
      return new DatabaseError(code, { message, cause });
    }
    const { code, error: farewell } = this.#farewell;
    const best = farewell ?? this.#socketError ?? cause;
    return new DatabaseError(code, { message: farewell?.message, cause: best });
  }

  /** The driver asks again after a close, for what it has queued; that has failed by then. */
  #handOutSocket(): net.Socket {
    if (this.#handedOut || this.closed) throw closedError();
    this.#handedOut = true;
    // Before the driver listens, so as to miss nothing, and to know when a statement has ended.
    this.#socket.on("data", (chunk: Uint8Array) => this.#hear(chunk));
    return this.#socket;
  }

  /** One listener for all, as every answer comes through here. */
  #hear(chunk: Uint8Array): void {
    this.#heardCount++;
    this.#transaction.hear(chunk);
    const isEnd = this.#farewell.hear(chunk) && !this.#statements.isBusy;
    // Until the server's process has gone too, an idle session would be lent again.
    if (isEnd && this.#farewell.error !== undefined) this.#socket.destroy();
  }
}
