/**
 * `deno task db:init`: creates the configured database with its roles and privileges on any server,
 * migrates it, and verifies the privileges of the service.
 *
 * @module
 */
import { type CommandContext, runCommand } from "../command.ts";
import { openCommandConfig } from "../command_config.ts";
import { UsageError } from "../usage_error.ts";
import { initialize } from "./initialize.ts";

const USAGE = `Usage: deno task db:init

Creates the configured database with its roles and privileges, migrates the schema, and verifies the
privileges of the service. Safe to run again. The administrator is DB_ADMIN_URL, or DB_ADMIN_USER
with DB_ADMIN_PASSWORD or DB_ADMIN_PASSWORD_FILE: a superuser, or a role with CREATEROLE and CREATEDB.`;

async function init({ args, signal }: CommandContext): Promise<void> {
  if (args.length > 0) throw new UsageError(USAGE);
  const source = openCommandConfig();
  await initialize(source.load(), source.loadAdmin(), signal);
}

if (import.meta.main) await runCommand(init);
