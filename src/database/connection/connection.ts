import type net from "node:net";
import { Duplex, type DuplexOptions } from "node:stream";
import type postgres from "postgres";
import { type BackendKey, requestCancel } from "./cancel.ts";
import { abortable, Deadline } from "../deadline.ts";
import { type ClientOptions, createClient, restrict, type Sql } from "./driver.ts";
import { classify, DatabaseError, isDatabaseFailure } from "../errors.ts";
import type { Resource } from "../pool/mod.ts";

/** PostgreSQL's message that ends a session. */
const TERMINATE = new Uint8Array(["X".charCodeAt(0), 0, 0, 0, 4]);

const CLOSED_STREAM: DuplexOptions = {
  // Fails by itself: the driver writes nothing any more when a write was pending at the close.
  read() {
    this.destroy(closedError());
  },
  write(_chunk, _encoding, done) {
    done(closedError());
  },
};

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
  readonly #client: postgres.Sql;
  readonly #dial: ConnectionOptions["dial"];
  #backendKey: BackendKey = { pid: 0, secret: 0 };
  #closed: boolean;
  #ending = false;
  #handedOut = false;
  #reason: DatabaseError | undefined;
  #socketError: unknown;

  /** @param socket Connected and, if wanted, encrypted; owned by the connection from now on. */
  constructor(socket: net.Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#dial = options.dial;
    this.#closed = socket.destroyed;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.whenClosed = promise;
    // First in line: when a statement fails because of the close, `closed` is already true.
    socket.once("close", () => {
      this.#closed = true;
      // The driver forgets a statement that began between the socket's error and its close.
      socket.emit("error", closedError());
      resolve();
    });
    socket.on("error", (error) => this.#socketError ??= error);
    if (this.#closed) resolve();
    this.#client = createClient({ ...options, socket: () => this.#handOutSocket() });
    this.sql = restrict(this.#client);
  }

  /** Whether the connection must not be used any more. */
  get closed(): boolean {
    return this.#closed || this.#ending || this.#socket.destroyed;
  }

  /** Process id of the server's backend; behind a connection pooler, the pooler's. */
  get backendPid(): number {
    return this.#backendKey.pid;
  }

  /**
   * Does the start-up and asks the server for its role.
   *
   * @throws {DatabaseError} Classified; the connection is destroyed then.
   */
  async startup(signal: AbortSignal): Promise<ServerRole> {
    try {
      return await abortable(this.role(), signal);
    } catch (error) {
      const explained = this.explain(error);
      this.destroy();
      throw explained;
    }
  }

  /**
   * Asks the server for its role.
   *
   * @throws As a statement of `sql` does; see {@linkcode Connection.explain}.
   */
  async role(): Promise<ServerRole> {
    // The simple protocol needs one round trip and leaves nothing prepared.
    const rows = await this.#client<{ in_recovery: boolean; read_only: boolean }[]>`
      select pg_catalog.pg_is_in_recovery() as in_recovery,
        pg_catalog.current_setting('transaction_read_only') = 'on' as read_only
    `.simple();
    const [row] = rows;
    if (row === undefined) throw new DatabaseError("CONNECTION_REJECTED");
    this.#backendKey = { pid: rows.state.pid, secret: rows.state.secret };
    return { inRecovery: row.in_recovery, readOnly: row.read_only };
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
    if (!isDatabaseFailure(error)) return error;
    if (this.#reason !== undefined) {
      const { code, message } = this.#reason;
      return new DatabaseError(code, { message, cause: error });
    }
    const known = classify(error);
    if (!this.closed || known.sqlState !== undefined || error instanceof DatabaseError) {
      return known;
    }
    return new DatabaseError("CONNECTION_LOST", { cause: this.#socketError ?? error });
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
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * The driver asks again for every statement after a close. What it gets then
   * fails at once: throwing here would reject one statement and leave
   * all later ones pending.
   */
  #handOutSocket(): Duplex {
    if (this.#handedOut || this.#socket.destroyed) return new Duplex(CLOSED_STREAM);
    this.#handedOut = true;
    return this.#socket;
  }
}
