import type { DatabaseConfig, HostAddress, Secret, TargetSessionAttrs } from "../../config/mod.ts";
import { type Clock, systemClock } from "../clock.ts";
import type { Connection } from "./connection.ts";
import { Deadline } from "../deadline.ts";
import { classify, DatabaseError, type DatabaseErrorCode } from "../errors.ts";
import { currentPassword } from "./password.ts";
import { canPrepare, startupParameters } from "./pooler.ts";
import { openSession, type SessionOptions } from "./session.ts";
import { type Lookup, resolveHost } from "./socket.ts";

/** Settings of {@linkcode connect}. */
export interface ConnectOptions {
  readonly signal?: AbortSignal | undefined;
  /** Gets every notice of the server; by default they are dropped. */
  readonly onNotice?: SessionOptions["onNotice"] | undefined;
  readonly clock?: Clock | undefined;
  /** Resolves host names; default: the operating system. */
  readonly lookup?: Lookup | undefined;
  readonly observeStatement?: SessionOptions["observeStatement"];
  /** Told of a password that was read from its file, before it is used; for a log that must not show it. */
  readonly onPassword?: ((password: Secret) => void) | undefined;
}

/**
 * Opens one connection the way libpq does: hosts in order, every address of a
 * name, `sslmode` with its fallbacks, and only a server that has the role of
 * `target_session_attrs`. After a rejected login no other host is tried.
 *
 * All of it together takes at most `connectTimeoutMs`, which libpq gives to each
 * address. What is left of it is shared equally by the servers still to try, so
 * that a silent one cannot use up everyone's time.
 *
 * @throws {DatabaseError} The last server's error; its cause holds the others'.
 * `CONNECT_TIMEOUT` when the time is over, `ABORTED` when the signal aborts.
 *
 * Source: PostgreSQL documentation, 34.1.1.3 "Specifying Multiple Hosts".
 *
 * ```ts ignore
 * await using connection = await connect(config.database);
 * const [row] = await connection.sql`select now()`;
 * ```
 */
export async function connect(
  config: DatabaseConfig,
  options: ConnectOptions = {},
): Promise<Connection> {
  const { signal, clock = systemClock, lookup } = options;
  const endsAt = clock.now() + config.connectTimeoutMs;
  const attempt: Attempt = {
    config,
    session: await sessionOptions(config, options),
    clock,
    lookup,
    failures: [],
  };
  const visits = visitsOf(config);
  for (const [index, visit] of visits.entries()) {
    const shareMs = (endsAt - clock.now()) / (visits.length - index);
    const connection = await tryHost(visit, attempt, shareMs, signal);
    if (connection !== undefined) return connection;
  }
  throw summary(attempt.failures);
}

/** A host to try, and the role that it must have. */
interface Visit extends HostAddress {
  readonly role: TargetSessionAttrs;
}

/** What all tries of one `connect` have in common. */
interface Attempt {
  readonly config: DatabaseConfig;
  readonly session: SessionOptions;
  readonly clock: Clock;
  readonly lookup: Lookup | undefined;
  readonly failures: DatabaseError[];
}

/** Failures of one server that say nothing about the next one. */
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

/** prefer-standby asks every host for a standby, and then takes any. */
function visitsOf({ hosts, targetSessionAttrs }: DatabaseConfig): Visit[] {
  const roles: TargetSessionAttrs[] = targetSessionAttrs === "prefer-standby"
    ? ["standby", "any"]
    : [targetSessionAttrs];
  return roles.flatMap((role) => hosts.map((host) => ({ ...host, role })));
}

/** Tries every address of a host; undefined means that the next host may do better. */
async function tryHost(
  visit: Visit,
  attempt: Attempt,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Connection | undefined> {
  const { config, session, clock, lookup } = attempt;
  const endsAt = clock.now() + timeoutMs;
  using resolving = limit(visit, timeoutMs, signal, clock);
  const addresses = await resolveHost(visit.host, resolving.signal, lookup).catch((error) => {
    note(attempt, error, signal);
    return [];
  });
  for (const [index, address] of addresses.entries()) {
    const shareMs = (endsAt - clock.now()) / (addresses.length - index);
    using share = limit(visit, shareMs, signal, clock);
    try {
      return await openSession({ ...visit, address }, config, session, share.signal);
    } catch (error) {
      note(attempt, error, signal);
    }
  }
  return undefined;
}

/** Remembers a failure; throws when no other server should be tried. */
function note({ failures }: Attempt, error: unknown, signal: AbortSignal | undefined): void {
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
        message: `${host}:${port} gave no session within ${Math.round(timeoutMs)} ms`,
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
    cause: new AggregateError(failures, "No server of the list could be used"),
  });
}

async function sessionOptions(
  config: DatabaseConfig,
  options: ConnectOptions,
): Promise<SessionOptions> {
  const { onNotice = () => {}, observeStatement } = options;
  return {
    user: config.user,
    database: config.database,
    password: await currentPassword(config, options),
    parameters: startupParameters(config),
    prepare: canPrepare(config),
    config,
    observeStatement,
    onNotice,
  };
}
