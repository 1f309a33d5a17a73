import type { DatabaseConfig } from "../config/mod.ts";
import type { Connection } from "./connection/connection.ts";
import type { Sql } from "./connection/sql.ts";
import { DatabaseError } from "./errors.ts";
import type { Logger } from "./logger.ts";
import { runOperation } from "./operation/operation.ts";
import type { Lend } from "./operation/time_limit.ts";

/** What a connection limit applies to: the whole server, or the service's role or database. */
export type BudgetScope = "server" | "role" | "database";

/** One connection limit, and how much of it others use. */
export interface BudgetLimit {
  /** What it applies to. */
  readonly scope: BudgetScope;
  /** Maximum number of connections, without those that are reserved for others. */
  readonly limit: number;
  /** How many of them are in use by others than this service. */
  readonly othersInUse: number;
}

/**
 * Whether the server allows as many connections as all instances of the service may open. All
 * numbers are connections, except `serviceInstances`.
 */
export interface ConnectionBudget {
  /** Maximum number of instances that run at the same time. */
  readonly serviceInstances: number;
  /** Maximum of one instance (`DB_MAX_CONNECTIONS`). */
  readonly maxConnections: number;
  /** Maximum of all instances together. */
  readonly needed: number;
  /** What the narrowest limit leaves for this service; at least 0. */
  readonly available: number;
  /** Whether `needed` is at most `available`. */
  readonly fits: boolean;
  /** The limit that leaves the least. */
  readonly narrowest: BudgetLimit;
}

/**
 * Compares what all instances of the service may open with what the server allows. It only logs a
 * warning, because nothing fails before that many connections are in fact open.
 *
 * With `DB_POOLER=transaction` it does nothing: the pooler decides how many connections the server
 * gets.
 */
export class BudgetCheck {
  readonly #config: DatabaseConfig;
  readonly #logger: Logger;
  #budget: ConnectionBudget | undefined;

  /** @param logger Receives `database.connection_budget` and `.connection_budget_unknown`. */
  constructor(config: DatabaseConfig, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
  }

  /** Result of the last check that the server answered; undefined before that. */
  get budget(): ConnectionBudget | undefined {
    return this.#budget;
  }

  /**
   * Checks once on this connection, within the ping timeout. Never rejects: when the limits cannot be read, the last
   * budget stays, because the database can be used all the same.
   */
  async run(connection: Connection, signal: AbortSignal): Promise<void> {
    const { pooler, pingTimeoutMs, serviceInstances, maxConnections } = this.#config;
    if (pooler === "transaction") return;
    try {
      const lend: Lend = (use) => use(connection);
      const limits = await runOperation(lend, readLimits, { signal, timeoutMs: pingTimeoutMs });
      this.#update(connectionBudget({ serviceInstances, maxConnections }, limits));
    } catch (err) {
      if (signal.aborted) return;
      const event = "database.connection_budget_unknown";
      this.#logger.warn({ event, err }, "The server's connection limits could not be read");
    }
  }

  /** Logs only what has changed since the last check. */
  #update(budget: ConnectionBudget): void {
    const before = this.#budget && describeShortage(this.#budget);
    this.#budget = Object.freeze(budget);
    const shortage = describeShortage(budget);
    if (shortage === before) return;
    const { needed, available, narrowest: { scope } } = budget;
    const fields = { event: "database.connection_budget", needed, available, scope };
    if (shortage === undefined) {
      this.#logger.info(fields, "The connection limits allow what all instances may open again");
    } else {
      const advice =
        "lower DB_MAX_CONNECTIONS or DB_SERVICE_INSTANCES, raise the limit, or use a pooler";
      this.#logger.warn(fields, `Too many connections: ${shortage}; ${advice}`);
    }
  }
}

/** Computes the budget. There is always the server's limit; the others are optional. */
export function connectionBudget(
  { serviceInstances, maxConnections }: Pick<
    ConnectionBudget,
    "serviceInstances" | "maxConnections"
  >,
  limits: readonly [BudgetLimit, ...BudgetLimit[]],
): ConnectionBudget {
  const needed = serviceInstances * maxConnections;
  const narrowest = limits.reduce((least, limit) => left(limit) < left(least) ? limit : least);
  const available = left(narrowest);
  const fits = needed <= available;
  return { serviceInstances, maxConnections, needed, available, fits, narrowest };
}

/** Says, for people, how many connections are too many; undefined when the budget fits. */
export function describeShortage(budget: ConnectionBudget): string | undefined {
  if (budget.fits) return undefined;
  const { serviceInstances, maxConnections, needed, available, narrowest: { scope } } = budget;
  const product = serviceInstances === 1 ? "" : ` (${serviceInstances} x ${maxConnections})`;
  return `up to ${needed} connections${product} are configured, ` +
    `but the ${scope} limit leaves ${available}`;
}

function left({ limit, othersInUse }: BudgetLimit): number {
  return Math.max(0, limit - othersInUse);
}

/**
 * Reads the connection limits. Sessions with the same role, database and application name count as
 * this service's, whichever instance they belong to.
 *
 * Source: PostgreSQL documentation, 20.3.1 "Connection Settings", and `CONNECTION LIMIT` of
 * "CREATE ROLE" and "CREATE DATABASE"; of these limits only `max_connections` applies to superusers.
 */
async function readLimits(sql: Sql): Promise<[BudgetLimit, ...BudgetLimit[]]> {
  const [row] = await sql<LimitsRow>`
    with sessions as (
      -- Background workers have no role or no database. The type of another role's session is hidden.
      select usename = current_user as is_role, datname = current_database() as is_database,
        usename = current_user and datname = current_database()
          and application_name = current_setting('application_name') as is_own
      from pg_stat_activity
      where usename is not null and datname is not null
        and coalesce(backend_type, 'client backend') = 'client backend'
    )
    select current_setting('max_connections')::int - case when role.rolsuper then 0 else
        current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true), '0')::int -- since PostgreSQL 16
      end as server_limit,
      case when role.rolsuper then -1 else role.rolconnlimit end as role_limit,
      case when role.rolsuper then -1 else database.datconnlimit end as database_limit,
      (select count(*)::int from sessions where not is_own) as server_others,
      (select count(*)::int from sessions where is_role and not is_own) as role_others,
      (select count(*)::int from sessions where is_database and not is_own) as database_others
    from pg_roles as role, pg_database as database
    where role.rolname = current_user and database.datname = current_database()
  `;
  if (row === undefined) throw new DatabaseError("QUERY_FAILED");
  const server: BudgetLimit = {
    scope: "server",
    limit: row.server_limit,
    othersInUse: row.server_others,
  };
  const others: BudgetLimit[] = [
    { scope: "role", limit: row.role_limit, othersInUse: row.role_others },
    { scope: "database", limit: row.database_limit, othersInUse: row.database_others },
  ];
  return [server, ...others.filter(({ limit }) => limit !== UNLIMITED)];
}

/** How `pg_roles` and `pg_database` write "no limit". */
const UNLIMITED = -1;

interface LimitsRow {
  readonly server_limit: number;
  readonly role_limit: number;
  readonly database_limit: number;
  readonly server_others: number;
  readonly role_others: number;
  readonly database_others: number;
}
