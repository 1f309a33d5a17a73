import type { DatabaseConfig, HostAddress, Secret } from "../../config/mod.ts";
import type { Connection } from "./connection.ts";
import type { StatementObserver } from "./driver.ts";
import { classify, DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import { currentPassword } from "./password.ts";
import { canPrepare, startupParameters } from "./pooler.ts";
import { openSession, prefers, type SessionOptions } from "./session.ts";
import { type Lookup, resolveHost } from "./socket.ts";
import { type Clock, Deadline, systemClock } from "../../time.ts";

/** Abort signal and hooks of {@linkcode connect}. */
export interface ConnectOptions {
  /** Aborts the attempt; an open connection stays open. */
  readonly signal?: AbortSignal | undefined;
  /** Called with every notice of the server. Default: notices are ignored. */
  readonly onNotice?: ((notice: Readonly<Record<string, string>>) => void) | undefined;
  /** Default: the clock of the machine. */
  readonly clock?: Clock | undefined;
  /** Resolves host names; default: the operating system. */
  readonly lookup?: Lookup | undefined;
  /** Called when a statement is sent; see {@linkcode StatementObserver}. */
  readonly observeStatement?: StatementObserver | undefined;
  /** Called with the expiry time of each certificate that a server has presented. */
  readonly onCertificate?: ((expiresAt: Date) => void) | undefined;
  /** Called with a password read from its file, before it is used, so that logs can redact it. */
  readonly onPassword?: ((password: Secret) => void) | undefined;
}

/**
 * Opens one connection as libpq does: hosts in order, every address of a name, `sslmode` with its
 * fallbacks, and only a server with the role that `target_session_attrs` requires. If a role is
 * only preferred, another server is used when no preferred one can be reached. After a rejected
 * login, no other host is tried.
 *
 * All attempts together take at most `connectTimeoutMs`, which in libpq applies to each address.
 * The remaining time is divided equally among the remaining servers, so that one that does not
 * respond cannot use up the time of the others.
 *
 * @throws {DatabaseError} The error of the last server; its cause contains those of the others.
 * `CONNECT_TIMEOUT` when the time is over; `ABORTED` when the signal aborts.
 *
 * Source: PostgreSQL documentation, 34.1.1.3 "Specifying Multiple Hosts".
 */
export async function connect(
  config: DatabaseConfig,
  options: ConnectOptions = {},
): Promise<Connection> {
  const { signal, clock = systemClock, lookup } = options;
  const session = await sessionOptions(config, options);
  await using spare = new Spare();
  const search: Search = { config, session, clock, lookup, spare, failures: [] };
  const preferred = await tryHosts(search, signal).catch((error) => {
    if (signal?.aborted || spare.isEmpty) throw error;
    return undefined;
  });
  const connection = preferred ?? spare.take();
  if (connection === undefined) throw summary(search.failures);
  return connection;
}

/** What all attempts of one `connect` share. */
interface Search {
  readonly config: DatabaseConfig;
  readonly session: SessionOptions;
  readonly clock: Clock;
  readonly lookup: Lookup | undefined;
  readonly spare: Spare;
  readonly failures: DatabaseError[];
}

/** The first session with a server that is not of the preferred role; closed unless it is used. */
class Spare implements AsyncDisposable {
  #connection: Connection | undefined;

  get isEmpty(): boolean {
    return this.#connection === undefined || this.#connection.closed;
  }

  async offer(connection: Connection): Promise<void> {
    if (this.isEmpty) this.#connection = connection;
    else await connection.close();
  }

  take(): Connection | undefined {
    const connection = this.isEmpty ? undefined : this.#connection;
    this.#connection = undefined;
    return connection;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection?.close();
  }
}

/** Errors of one server after which the next one is tried. */
const TRY_NEXT: ReadonlySet<DatabaseErrorCode> = new Set([
  "CONNECTION_REFUSED",
  "HOST_UNREACHABLE",
  "HOST_NOT_FOUND",
  "CONNECT_TIMEOUT",
  "CONNECTION_LOST",
  "SERVER_STARTING",
  "SERVER_SHUTTING_DOWN",
  "TOO_MANY_CONNECTIONS",
  "WRONG_SERVER_ROLE",
]);

/** Tries every host; returns undefined if none has the preferred role. */
async function tryHosts(
  search: Search,
  signal: AbortSignal | undefined,
): Promise<Connection | undefined> {
  const { config: { hosts, connectTimeoutMs }, clock, spare } = search;
  const endsAt = clock.now() + connectTimeoutMs;
  for (const [index, host] of hosts.entries()) {
    // With a spare session, part of the time is reserved, so that the caller does not time out.
    const shares = hosts.length - index + (spare.isEmpty ? 0 : 1);
    const connection = await tryHost(host, search, (endsAt - clock.now()) / shares, signal);
    if (connection !== undefined) return connection;
  }
  return undefined;
}

/** Tries every address of a host; returns undefined if the next host should be tried. */
async function tryHost(
  host: HostAddress,
  search: Search,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Connection | undefined> {
  const { config, session, clock, lookup, spare } = search;
  const endsAt = clock.now() + timeoutMs;
  using resolving = limit(host, timeoutMs, signal, clock);
  const addresses = await resolveHost(host.host, resolving.signal, lookup).catch((error) => {
    note(search, error, signal);
    return [];
  });
  for (const [index, address] of addresses.entries()) {
    const shareMs = (endsAt - clock.now()) / (addresses.length - index);
    using share = limit(host, shareMs, signal, clock);
    try {
      const connection = await openSession({ ...host, address }, config, session, share.signal);
      if (prefers(config.targetSessionAttrs, connection.lastRole)) return connection;
      await spare.offer(connection);
    } catch (error) {
      note(search, error, signal);
    }
  }
  return undefined;
}

/** Records a failure; throws if no other server should be tried. */
function note({ failures }: Search, error: unknown, signal: AbortSignal | undefined): void {
  const failure = classify(error);
  failures.push(failure);
  if (signal?.aborted || !TRY_NEXT.has(failure.code)) throw summary(failures);
}

function limit(
  { host, port }: HostAddress,
  timeoutMs: number,
  signal: AbortSignal | undefined,
  clock: Clock,
): Deadline {
  return new Deadline({
    timeoutMs,
    signal,
    clock,
    onTimeout: () =>
      new DatabaseError("CONNECT_TIMEOUT", {
        message: `${host}:${port} did not complete the connection within ${
          Math.round(timeoutMs)
        } ms`,
      }),
  });
}

function summary(failures: readonly DatabaseError[]): DatabaseError {
  const last = failures.at(-1) ?? new DatabaseError("HOST_NOT_FOUND");
  if (failures.length < 2) return last;
  const { code, message, sqlState } = last;
  return new DatabaseError(code, {
    message,
    sqlState,
    cause: new AggregateError(failures, "All servers failed"),
  });
}

async function sessionOptions(
  config: DatabaseConfig,
  options: ConnectOptions,
): Promise<SessionOptions> {
  const { onNotice = () => {}, observeStatement, onCertificate } = options;
  return {
    user: config.user,
    database: config.database,
    password: await currentPassword(config, options),
    parameters: startupParameters(config),
    prepare: canPrepare(config),
    config,
    observeStatement,
    onCertificate,
    onNotice,
  };
}
