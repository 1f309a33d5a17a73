import { asMigrator, type DatabaseConfig } from "../../config/mod.ts";
import {
  createMigration,
  dropSchema,
  folderAt,
  forceVersion,
  migrateDown,
  migrateTo,
  migrateUp,
  type MigrationOptions,
  type MigrationResult,
  readMigrationStatus,
  readSchemaVersion,
} from "../../database/mod.ts";
import { openCommandConfig } from "../command_config.ts";
import { type CommandContext, EXIT, type ExitCode } from "../command.ts";
import { confirm } from "../confirm.ts";
import { UsageError } from "../usage_error.ts";
import { type MigrateArguments, wholeNumber } from "./arguments.ts";
import { describeVersion, printer, statusLines } from "./output.ts";

/** How golang-migrate denotes a schema without migrations. */
const NO_VERSION = "-1";

/** What a subcommand receives. */
type Context = CommandContext & MigrateArguments;

/** One command of `deno task migrate`. */
export interface Subcommand {
  /** Minimum and maximum number of operands. */
  readonly operands: readonly [number, number];
  /** Only `create` may write files. */
  readonly writesFiles?: boolean;
  readonly run: (context: Context) => Promise<ExitCode | void>;
}

const up: Subcommand = {
  operands: [0, 1],
  async run(context) {
    const { dryRun } = context;
    const limit = limitIn(context);
    const [database, options] = target(context);
    report(await migrateUp(database, { ...options, dryRun, limit }), context);
  },
};

const down: Subcommand = {
  operands: [0, 1],
  async run(context) {
    const { all, yes, dryRun, signal } = context;
    const limit = limitIn(context);
    if (all && limit !== undefined) throw new UsageError("down accepts N or --all, not both");
    const [database, options] = target(context);
    if (limit === undefined && !yes && !dryRun) {
      if (!await confirm(`Revert every migration of ${describeSchema(database)}?`, signal)) {
        console.error("Nothing was reverted");
        return EXIT.failed;
      }
    }
    report(await migrateDown(database, limit ?? Infinity, { ...options, dryRun }), context);
  },
};

const goto: Subcommand = {
  operands: [1, 1],
  async run(context) {
    const { dryRun, operands: [text] } = context;
    const version = wholeNumber("V", text!);
    const [database, options] = target(context);
    report(await migrateTo(database, version, { ...options, dryRun }), context);
  },
};

const version: Subcommand = {
  operands: [0, 0],
  async run(context) {
    const current = await readSchemaVersion(...target(context));
    console.log(`${describeVersion(current?.version)}${current?.dirty === true ? " (dirty)" : ""}`);
  },
};

const status: Subcommand = {
  operands: [0, 0],
  async run(context) {
    const status = await readMigrationStatus(...target(context));
    for (const line of statusLines(status)) console.log(line);
    const isHealthy = status.current?.dirty !== true && status.warnings.length === 0;
    return isHealthy ? EXIT.done : EXIT.failed;
  },
};

const force: Subcommand = {
  operands: [1, 1],
  async run(context) {
    const { operands: [text] } = context;
    const version = text === NO_VERSION ? undefined : wholeNumber("V", text!);
    const [database, options] = target(context);
    await forceVersion(database, version, options);
    console.log(`The schema now has ${describeVersion(version)} and is not dirty`);
  },
};

const drop: Subcommand = {
  operands: [0, 0],
  async run(context) {
    const { yes, signal } = context;
    const [database, options] = target(context);
    const schema = describeSchema(database);
    if (!yes && !await confirm(`Drop everything in ${schema}?`, signal)) {
      console.error("Nothing was dropped");
      return EXIT.failed;
    }
    const count = await dropSchema(database, options);
    console.log(`Dropped ${count} objects; ${schema} is empty`);
  },
};

const create: Subcommand = {
  operands: [1, 1],
  writesFiles: true,
  async run({ operands: [title], path }) {
    const directory = path === undefined ? undefined : folderAt(path);
    for (const file of await createMigration(title!, directory)) console.log(`Created ${file}`);
  },
};

/** The subcommands by name. */
export const SUBCOMMANDS: ReadonlyMap<string, Subcommand> = new Map(
  Object.entries({ up, down, goto, version, status, force, drop, create }),
);

/** The configured database with the login of the migrator, and the options of the command line. */
function target({ signal, lockTimeoutMs, path }: Context): [DatabaseConfig, MigrationOptions] {
  const { database } = openCommandConfig().load();
  const directory = path === undefined ? undefined : folderAt(path);
  return [asMigrator(database), { signal, lockTimeoutMs, directory, logger: printer }];
}

function limitIn({ operands: [text] }: Context): number | undefined {
  return text === undefined ? undefined : wholeNumber("N", text);
}

function report({ version, applied, reverted }: MigrationResult, { dryRun }: Context): void {
  if (applied.length + reverted.length === 0) console.log("Nothing to do");
  console.log(`The schema ${dryRun ? "would have" : "has"} ${describeVersion(version)}`);
}

function describeSchema({ schema, database }: DatabaseConfig): string {
  return `the schema "${schema}" of the database "${database}"`;
}
