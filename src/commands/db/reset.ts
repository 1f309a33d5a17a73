/**
 * `deno task db:reset`: drops and recreates the configured database.
 *
 * @module
 */
import type { DatabaseConfig } from "../../config/mod.ts";
import { type CommandContext, EXIT, type ExitCode, runCommand } from "../command.ts";
import { openCommandConfig } from "../command_config.ts";
import { confirm } from "../confirm.ts";
import { UsageError } from "../usage_error.ts";
import { checkLogin, initialize } from "./initialize.ts";
import { requireLocal } from "./local.ts";
import { withSession } from "./session.ts";

const USAGE = `Usage: deno task db:reset [--yes] [--remote]

Drops the configured database with all its data, terminates its sessions, and recreates it as
db:init does, with the same administrator.

  --yes     does not ask
  --remote  also when the database is not on this machine`;

async function reset({ args, signal }: CommandContext): Promise<ExitCode> {
  if (args.some((arg) => !["--yes", "--remote"].includes(arg))) throw new UsageError(USAGE);
  const source = openCommandConfig();
  const config = source.load();
  const admin = source.loadAdmin();
  requireLocal(admin, args);
  const { database } = config.database;
  const question = `Drop the database ${database} on ${serversOf(admin)} with all its data?`;
  if (!args.includes("--yes") && !await confirm(question, signal)) {
    console.log("Nothing was dropped.");
    return EXIT.failed;
  }
  await checkLogin("DB_ADMIN_USER and DB_ADMIN_PASSWORD", drop(admin, database, signal));
  console.log(`Dropped ${database}.`);
  await initialize(config, admin, signal);
  return EXIT.done;
}

async function drop(admin: DatabaseConfig, database: string, signal: AbortSignal): Promise<void> {
  await withSession(admin, { signal }, async ({ sql }) => {
    await sql`drop database if exists ${sql.identifier(database)} with (force)`;
  });
}

function serversOf({ hosts }: DatabaseConfig): string {
  return hosts.map(({ host, port }) => `${host}:${port}`).join(", ");
}

if (import.meta.main) await runCommand(reset);
