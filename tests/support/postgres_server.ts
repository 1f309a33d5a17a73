import type { ConnectionInfo, StopMode } from "../../dev/postgres/server.ts";

export interface TestPostgresOptions {
  /** Server settings as in postgresql.conf, e.g. `{ max_connections: "20" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Gets each line of the server's log; of a container, until it is stopped the first time. */
  readonly onLog?: (line: string) => void;
}

/**
 * A PostgreSQL 16 that one test has for itself, and what can happen to it. It has an address of its
 * own, which stays the same over restarts, and a role and a database for the service.
 */
export interface TestServer extends AsyncDisposable {
  /** How to connect as `postgres`. */
  readonly superuser: ConnectionInfo;
  /** Of the postmaster, where this machine can see it. */
  readonly pid?: number | undefined;
  /** Starts a stopped or killed server again; resolves when it accepts connections. */
  start(): Promise<void>;
  /** Does nothing when the server is down. */
  stop(mode?: StopMode): Promise<void>;
  /** Kills all of its processes, as a power cut would. */
  kill(): Promise<void>;
  /** It keeps its connections and its port, and answers nothing. */
  freeze(): Promise<void>;
  /** Undoes {@linkcode freeze}. */
  resume(): Promise<void>;
}

/** Starts a server; what must be cleared up afterwards is put on the stack. */
export type StartServer<Server extends TestServer = TestServer> = (
  options: TestPostgresOptions,
  cleanup: AsyncDisposableStack,
) => Promise<Server>;
