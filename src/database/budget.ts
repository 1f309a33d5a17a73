import { DatabaseError } from "./errors.ts";
import type { Sql } from "./connection/sql.ts";

/** What limits the connections of this service: the server, the role or the database. */
export type BudgetScope = "server" | "role" | "database";

/** One limit, and how much of it others use. */
export interface BudgetLimit {
  readonly scope: BudgetScope;
  /** Connections that are not reserved for others. */
  readonly limit: number;
  /** Of these, in use by others than this service. */
  readonly othersInUse: number;
}

/** Whether the connections of all replicas fit into the server. Connections, all of them. */
export interface ConnectionBudget {
  readonly replicas: number;
  /** Of one replica (`DB_MAX_CONNECTIONS`). */
  readonly maxConnections: number;
  /** Of all replicas together. */
  readonly needed: number;
  /** What is left for this service by the narrowest limit; never below 0. */
  readonly available: number;
  readonly fits: boolean;
  /** The narrowest limit. */
  readonly narrowest: BudgetLimit;
}

/** Works out the budget from the limits, of which there is always the server's. */
export function connectionBudget(
  { replicas, maxConnections }: Pick<ConnectionBudget, "replicas" | "maxConnections">,
  limits: readonly [BudgetLimit, ...BudgetLimit[]],
): ConnectionBudget {
  const needed = replicas * maxConnections;
  const narrowest = limits.reduce((least, limit) => left(limit) < left(least) ? limit : least);
  const available = left(narrowest);
  return { replicas, maxConnections, needed, available, fits: needed <= available, narrowest };
}

/** What is wrong with the budget, for people; undefined when it fits. */
export function describeShortage(budget: ConnectionBudget): string | undefined {
  if (budget.fits) return undefined;
  const { replicas, maxConnections, needed, available, narrowest: { scope } } = budget;
  const product = replicas === 1 ? "" : ` (${replicas} x ${maxConnections})`;
  return `up to ${needed} connections${product} are configured, but the ${scope} has ${available}`;
}

function left({ limit, othersInUse }: BudgetLimit): number {
  return Math.max(0, limit - othersInUse);
}

/**
 * Asks the server for its limits. Sessions with the same role, database and application name count
 * as this service's, whichever replica they belong to.
 *
 * Source: PostgreSQL documentation, 20.3.1 "Connection Settings", and `CONNECTION LIMIT` of
 * "CREATE ROLE" and "CREATE DATABASE"; superusers are bound by none of these limits but
 * `max_connections`.
 */
export async function readLimits(sql: Sql): Promise<[BudgetLimit, ...BudgetLimit[]]> {
  const [row] = await sql<LimitsRow>`
    with sessions as (
      -- Background workers lack a role or a database. Of others' sessions the kind is hidden.
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

const UNLIMITED = -1;

interface LimitsRow {
  readonly server_limit: number;
  readonly role_limit: number;
  readonly database_limit: number;
  readonly server_others: number;
  readonly role_others: number;
  readonly database_others: number;
}
