/**
 * `deno task migrate`: migrates the configured database; see `deno task migrate help`.
 *
 * @module
 */
import { type Command, runCommand } from "../command.ts";
import { UsageError } from "../usage_error.ts";
import { parseArguments } from "./arguments.ts";
import { HELP } from "./output.ts";
import { SUBCOMMANDS } from "./subcommands.ts";

const migrate: Command = async ({ args, signal }) => {
  const parsed = parseArguments(args);
  if (parsed === undefined) return console.log(HELP);
  const { command, operands } = parsed;
  const subcommand = SUBCOMMANDS.get(command);
  if (subcommand === undefined) throw new UsageError(`Unknown command "${command}".\n\n${HELP}`);
  const [fewest, most] = subcommand.operands;
  if (operands.length < fewest) {
    throw new UsageError(`${command} needs an argument; see: deno task migrate help`);
  }
  if (operands.length > most) {
    throw new UsageError(
      `${command} does not take the argument "${operands[most]}"; see: deno task migrate help`,
    );
  }
  if (!subcommand.writesFiles) await Deno.permissions.revoke({ name: "write" });
  return await subcommand.run({ ...parsed, args, signal });
};

if (import.meta.main) await runCommand(migrate);
