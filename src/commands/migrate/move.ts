import { migrateDown, migrateTo, migrateUp, type MigrationResult } from "../../database/mod.ts";
import { EXIT } from "../command.ts";
import { confirm } from "../confirm.ts";
import { UsageError } from "../usage_error.ts";
import { wholeNumber } from "./arguments.ts";
import { describeVersion } from "./output.ts";
import { type Subcommand, type SubcommandContext, target } from "./subcommand.ts";

export const up: Subcommand = {
  operands: [0, 1],
  async run(context) {
    const limit = countIn(context);
    const [database, options] = target(context);
    report(await migrateUp(database, { ...options, dryRun: context.dryRun, limit }), context);
  },
};

export const down: Subcommand = {
  operands: [0, 1],
  async run(context) {
    const { all, yes, dryRun, signal } = context;
    const limit = countIn(context);
    if (all && limit !== undefined) throw new UsageError("down takes N or --all, not both");
    const [database, options] = target(context);
    if (limit === undefined && !yes && !dryRun) {
      const where = `the schema "${database.schema}" of the database "${database.database}"`;
      if (!await confirm(`Revert every migration of ${where}?`, signal)) {
        console.error("Nothing was reverted");
        return EXIT.failed;
      }
    }
    report(await migrateDown(database, limit ?? Infinity, { ...options, dryRun }), context);
  },
};

export const goto: Subcommand = {
  operands: [1, 1],
  async run(context) {
    const version = wholeNumber("V", context.operands[0]!);
    const [database, options] = target(context);
    report(await migrateTo(database, version, { ...options, dryRun: context.dryRun }), context);
  },
};

function countIn({ operands: [text] }: SubcommandContext): number | undefined {
  return text === undefined ? undefined : wholeNumber("N", text);
}

function report(
  { version, applied, reverted }: MigrationResult,
  { dryRun }: SubcommandContext,
): void {
  if (applied.length + reverted.length === 0) console.log("Nothing to do");
  console.log(`The schema ${dryRun ? "would have" : "has"} ${describeVersion(version)}`);
}
