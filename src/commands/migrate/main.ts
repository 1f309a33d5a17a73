/**
 * Migrates the configured database: `deno task migrate help`.
 *
 * @module
 */
import { type Command, runCommand } from "../command.ts";
import { UsageError } from "../usage_error.ts";
import { parseArguments } from "./arguments.ts";
import { create } from "./create.ts";
import { HELP } from "./help.ts";
import { status, version } from "./inspect.ts";
import { down, goto, up } from "./move.ts";
import { drop, force } from "./repair.ts";
import type { Subcommand } from "./subcommand.ts";

const SUBCOMMANDS: ReadonlyMap<string, Subcommand> = new Map(
  Object.entries({ up, down, goto, version, status, force, drop, create }),
);

const migrate: Command = async ({ args, signal }) => {
  const parsed = parseArguments(args);
  if (parsed === undefined) return console.log(HELP);
  const { command, operands } = parsed;
  const subcommand = SUBCOMMANDS.get(command);
  if (subcommand === undefined) {
    throw new UsageError(`There is no command "${command}".\n\n${HELP}`);
  }
  const [fewest, most] = subcommand.operands;
  if (operands.length < fewest) {
    throw new UsageError(`What to ${command}? See: deno task migrate help`);
  }
  if (operands.length > most) throw new UsageError(`${command} does not take "${operands[most]}"`);
  // Only one of them writes files.
  if (subcommand !== create) await Deno.permissions.revoke({ name: "write" });
  return await subcommand.run({ ...parsed, args, signal });
};

if (import.meta.main) await runCommand(migrate);
