/**
 * `deno task db:init`: makes the database that the settings name, with its roles and privileges, on
 * any server; migrates it; and tries it as the service.
 *
 * @module
 */
import { type CommandContext, runCommand } from "../command.ts";
import { openCommandConfig } from "../command_config.ts";
import { UsageError } from "../usage_error.ts";
import { initialize } from "./initialize.ts";

const USAGE = `Usage: deno task db:init

Makes the database, roles and privileges that the settings name, migrates the schema, and tries the
result as the service. Safe to run again. The administrator is DB_ADMIN_URL, or DB_ADMIN_USER with
DB_ADMIN_PASSWORD or DB_ADMIN_PASSWORD_FILE: a superuser, or a role with CREATEROLE and CREATEDB.`;

async function init({ args, signal }: CommandContext): Promise<void> {
  if (args.length > 0) throw new UsageError(USAGE);
  const source = openCommandConfig();
  await initialize(source.load(), source.loadAdmin(), signal);
}

if (import.meta.main) await runCommand(init);
