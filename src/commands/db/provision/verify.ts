import type { DatabaseConfig } from "../../../config/mod.ts";
import { classify, type Connection, DatabaseError } from "../../../database/mod.ts";
import { withSession } from "../session.ts";

const INSUFFICIENT_PRIVILEGE = "42501";

const INSERT_ENTRY =
  "insert into audit_log (schema_name, table_name, operation) values ('', '', 'TRUNCATE')";

/** What the service must not be able to do, and a statement that does it when it is allowed. */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ["make a table", "create table provision_check ()"],
  ["make a schema", "create schema provision_check"],
  ["make a temporary table", "create temporary table provision_check ()"],
  ["make a role", "create role provision_check"],
  ["write the audit log by hand", INSERT_ENTRY],
  ["change the audit log", "update audit_log set actor = actor where false"],
  ["delete from the audit log", "delete from audit_log where false"],
  ["empty the audit log", "truncate audit_log"],
  ["change the books of the migrations", "update schema_migrations set dirty = dirty"],
];

/**
 * Connects as the service and tries what it must not be able to do. Every attempt is rolled back.
 *
 * @throws {DatabaseError} When it cannot connect, or can do one of these things.
 */
export async function verifyService(
  service: DatabaseConfig,
  say: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  await withSession(service, { signal }, async (connection) => {
    const [session] = await connection.sql<
      { user: string; statement: string; idle: string }
    >`
      select quote_ident(current_user) as user, current_setting('statement_timeout') as statement,
        current_setting('idle_in_transaction_session_timeout') as idle
    `;
    const { user, statement, idle } = session!;
    say(`connected as ${user}`);
    const allowed: string[] = [];
    for (const [deed, attempt] of FORBIDDEN) {
      if (!await isRefused(connection, attempt)) allowed.push(deed);
    }
    if (allowed.length > 0) {
      throw new DatabaseError("INVALID_USE", {
        message: `The role ${user} can ${allowed.join(", ")}. Look for other ` +
          "roles that it is a member of (\\drg in psql) and for what PUBLIC may do (\\dn+)",
      });
    }
    say(`cannot ${FORBIDDEN.map(([deed]) => deed).join(", ")}`);
    say(`statement_timeout is ${statement}, idle_in_transaction_session_timeout ${idle}`);
  });
}

async function isRefused(connection: Connection, statement: string): Promise<boolean> {
  await connection.sql`begin`;
  try {
    await connection.script(statement);
    return false;
  } catch (error) {
    const failure = classify(error);
    if (failure.sqlState !== INSUFFICIENT_PRIVILEGE) throw failure;
    return true;
  } finally {
    await connection.sql`rollback`;
  }
}
