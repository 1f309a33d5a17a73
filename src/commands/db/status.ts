/**
 * `deno task db:status`: shows the state of the configured database. Exits with 1 if something
 * needs intervention.
 *
 * @module
 */
import type { DatabaseConfig } from "../../config/mod.ts";
import { readMigrationStatus, type Sql } from "../../database/mod.ts";
import { type CommandContext, EXIT, type ExitCode, runCommand } from "../command.ts";
import { openCommandConfig } from "../command_config.ts";
import { UsageError } from "../usage_error.ts";
import { checkLogin } from "./initialize.ts";
import { withSession } from "./session.ts";

const USAGE = "Usage: deno task db:status";

/** One line, with the problem if there is one. */
interface Finding {
  readonly label: string;
  readonly text: string;
  readonly problem?: string | undefined;
}

async function status({ args, signal }: CommandContext): Promise<ExitCode> {
  if (args.length > 0) throw new UsageError(USAGE);
  const { database: config } = openCommandConfig().load();
  const session = withSession(config, { signal }, async ({ sql }) => [
    await server(sql, config),
    await accessMode(sql),
    await connections(sql, config),
    await sizes(sql),
  ]);
  const findings = [
    ...await checkLogin("DB_USER and DB_PASSWORD", session),
    await migrations(config, signal),
  ];
  for (const { label, text } of findings) console.log(`${label.padEnd(12)}${text}`);
  const problems = findings.flatMap(({ problem }) => problem ?? []);
  for (const problem of problems) console.log(`Problem: ${problem}`);
  return problems.length === 0 ? EXIT.done : EXIT.failed;
}

async function server(sql: Sql, { database, schema, user }: DatabaseConfig): Promise<Finding> {
  const [row] = await sql<{ version: string; since: string; tls: boolean }>`
    select current_setting('server_version') as version,
      to_char(pg_postmaster_start_time() at time zone 'UTC', 'YYYY-MM-DD HH24:MI "UTC"') as since,
      (select ssl from pg_stat_ssl where pid = pg_backend_pid()) as tls
  `;
  const { version, since, tls } = row!;
  const how = tls ? "with TLS" : "without TLS";
  return {
    label: "Server",
    text:
      `PostgreSQL ${version}, up since ${since}; ${user} on ${database}, schema ${schema}, ${how}`,
  };
}

async function accessMode(sql: Sql): Promise<Finding> {
  const [row] = await sql<{ inRecovery: boolean; readOnly: boolean }>`
    select pg_is_in_recovery() as "inRecovery",
      current_setting('transaction_read_only') = 'on' as "readOnly"
  `;
  const { inRecovery, readOnly } = row!;
  if (!readOnly) return { label: "Access", text: "read-write" };
  const why = inRecovery ? "the server is a standby" : "default_transaction_read_only is on";
  return { label: "Access", text: `read-only: ${why}`, problem: "The database is read-only" };
}

async function connections(sql: Sql, { maxConnections }: DatabaseConfig): Promise<Finding> {
  // Unlike pg_stat_activity, this shows the sessions of all roles to every role.
  const [row] = await sql<{ open: number; most: number; reserved: number }>`
    select (select sum(numbackends) from pg_stat_database)::int as open,
      current_setting('max_connections')::int as most,
      current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true)::int, 0) as reserved
  `;
  const { open, most, reserved } = row!;
  return {
    label: "Connections",
    text: `${open} of ${most} open, ${reserved} reserved; each instance opens up to ` +
      `${maxConnections} (DB_MAX_CONNECTIONS)`,
    problem: maxConnections > most - reserved
      ? `DB_MAX_CONNECTIONS is ${maxConnections}, but the server allows only ${most - reserved}`
      : undefined,
  };
}

async function sizes(sql: Sql): Promise<Finding> {
  const rows = await sql<{ name: string; size: string }>`
    select oid::regclass::text as name, pg_size_pretty(pg_total_relation_size(oid)) as size
    from pg_class where relnamespace = quote_ident(current_schema())::regnamespace and relkind in ('r', 'm')
    order by pg_total_relation_size(oid) desc limit 5
  `;
  const [total] = await sql<{ size: string }>`
    select pg_size_pretty(pg_database_size(current_database())) as size
  `;
  const largest = rows.map(({ name, size }) => `${name} ${size}`).join(", ");
  return { label: "Size", text: `${total!.size}${largest && `; ${largest}`}` };
}

async function migrations(config: DatabaseConfig, signal: AbortSignal): Promise<Finding> {
  const { current, versions, warnings } = await readMigrationStatus(config, { signal });
  const pending = versions.filter(({ state }) => state === "pending").length;
  const problems = [
    ...(current?.dirty
      ? ["the schema is dirty: see deno task migrate status"]
      : pending > 0
      ? [`${pending} pending: run deno task migrate up`]
      : []),
    ...warnings.map(({ message }) => message),
  ];
  const version = current?.version === undefined ? "no version" : `version ${current.version}`;
  return {
    label: "Migrations",
    text: [version, ...(problems.length === 0 ? ["all applied"] : problems)].join(", "),
    problem: problems.length === 0 ? undefined : `Migrations: ${problems.join(", ")}`,
  };
}

if (import.meta.main) await runCommand(status);
