/**
 * `deno task db:seed`: inserts sample data into the configured database.
 *
 * @module
 */
import { asMigrator } from "../../config/mod.ts";
import { type CommandContext, runCommand } from "../command.ts";
import { openCommandConfig } from "../command_config.ts";
import { UsageError } from "../usage_error.ts";
import { requireLocal } from "./local.ts";
import seedScript from "./seed.sql" with { type: "text" };
import { withSession } from "./session.ts";

const USAGE = `Usage: deno task db:seed [--remote]

Creates the table demo_currency with sample data and an audit trail, as DB_MIGRATION_USER if that is
set. Safe to run again. Requires a migrated schema.

  --remote  also when the database is not on this machine`;

async function seed({ args, signal }: CommandContext): Promise<void> {
  if (args.some((arg) => arg !== "--remote")) throw new UsageError(USAGE);
  const { database } = openCommandConfig().load();
  requireLocal(database, args);
  await withSession(asMigrator(database), { signal }, async (connection) => {
    await connection.script(seedScript); // one transaction
    const [row] = await connection.sql<{ rows: number; entries: number }>`
      select (select count(*) from demo_currency)::int as rows,
        (select count(*) from audit_log where table_name = 'demo_currency')::int as entries
    `;
    console.log(`demo_currency has ${row?.rows} rows, with ${row?.entries} entries in audit_log.`);
  });
}

if (import.meta.main) await runCommand(seed);
