import type { DatabaseConfig } from "../../../config/mod.ts";
import { classify, type Connection, DatabaseError } from "../../../database/mod.ts";
import { withSession } from "../session.ts";

const INSUFFICIENT_PRIVILEGE = "42501";

const INSERT_ENTRY =
  "insert into audit_log (schema_name, table_name, operation) values ('', '', 'TRUNCATE')";

/** What the service must not be able to do, with a statement that tests it. */
const FORBIDDEN: readonly (readonly [string, string])[] = [
  ["create tables", "create table provision_check ()"],
  ["create schemas", "create schema provision_check"],
  ["create temporary tables", "create temporary table provision_check ()"],
  ["create roles", "create role provision_check"],
  ["insert into the audit log directly", INSERT_ENTRY],
  ["update the audit log", "update audit_log set actor = actor where false"],
  ["delete from the audit log", "delete from audit_log where false"],
  ["truncate the audit log", "truncate audit_log"],
  ["change the migration history", "update schema_migrations set dirty = dirty"],
];

/**
 * Connects as the service and verifies that it cannot do what it must not. Every attempt is rolled
 * back.
 *
 * @throws {DatabaseError} If it cannot connect, or can do one of these things.
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
        message: `The role ${user} can ${allowed.join(", ")}. Check the other roles that it is a ` +
          "member of (\\drg in psql) and the privileges of PUBLIC (\\dn+)",
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
