import { asMigrator, type DatabaseConfig } from "../../config/mod.ts";
import { folderAt, type MigrationOptions } from "../../database/mod.ts";
import { readConfig } from "../../read_config.ts";
import type { CommandContext, ExitCode } from "../command.ts";
import type { MigrateArguments } from "./arguments.ts";
import { printer } from "./output.ts";

/** What a subcommand gets. */
export type SubcommandContext = CommandContext & MigrateArguments;

/** One command of `deno task migrate`. */
export interface Subcommand {
  /** Fewest and most operands. */
  readonly operands: readonly [number, number];
  readonly run: (context: SubcommandContext) => Promise<ExitCode | void>;
}

/** The configured database, as who migrates it, and the options that all of the library's functions take. */
export function target(
  { signal, lockTimeoutMs, path }: SubcommandContext,
): [DatabaseConfig, MigrationOptions] {
  const { database } = readConfig();
  const directory = path === undefined ? undefined : folderAt(path);
  return [asMigrator(database), { signal, lockTimeoutMs, directory, logger: printer }];
}
