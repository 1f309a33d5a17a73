import { parseArgs } from "node:util";
import { UsageError } from "../usage_error.ts";

/** golang-migrate's default. */
const LOCK_TIMEOUT_SECONDS = 15;

/** The command line of `deno task migrate`, parsed. */
export interface MigrateArguments {
  readonly command: string;
  /** The arguments after the command, without the options. */
  readonly operands: readonly string[];
  readonly all: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly lockTimeoutMs: number;
  /** Folder with the migration files; undefined for the service's own. */
  readonly path: string | undefined;
}

const OPTIONS = {
  all: { type: "boolean", default: false },
  yes: { type: "boolean", short: "y", default: false },
  "dry-run": { type: "boolean", default: false },
  "lock-timeout": { type: "string", default: String(LOCK_TIMEOUT_SECONDS) },
  path: { type: "string" },
  help: { type: "boolean", short: "h", default: false },
} as const;

/** Options that only some commands take. */
const COMMANDS_OF: Readonly<Record<string, readonly string[]>> = {
  all: ["down"],
  yes: ["down", "drop"],
  "dry-run": ["up", "down", "goto"],
};

/** `force` takes `-1`, which is not an option. */
const NEGATIVE = /^-\d+$/;

/**
 * Parses the arguments of `deno task migrate`; undefined when they ask for help.
 *
 * @throws {UsageError} When there is no command, or an option that is unknown or not for this
 * command.
 */
export function parseArguments(args: readonly string[]): MigrateArguments | undefined {
  const { values, positionals } = parse(args.filter((arg) => !NEGATIVE.test(arg)));
  if (values.help || positionals[0] === "help") return undefined;
  const [command, ...operands] = [...positionals, ...args.filter((arg) => NEGATIVE.test(arg))];
  if (command === undefined) {
    throw new UsageError("A command is missing; see: deno task migrate help");
  }
  for (const [option, commands] of Object.entries(COMMANDS_OF)) {
    const isGiven = values[option as keyof typeof values] === true;
    if (isGiven && !commands.includes(command)) {
      throw new UsageError(`--${option} is for ${commands.join(", ")}, not for ${command}`);
    }
  }
  return {
    command,
    operands,
    all: values.all,
    yes: values.yes,
    dryRun: values["dry-run"],
    lockTimeoutMs: 1000 * wholeNumber("--lock-timeout", values["lock-timeout"]),
    path: values.path,
  };
}

/**
 * Parses the value of an argument.
 *
 * @throws {UsageError} When it is not a whole number from 0.
 */
export function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new UsageError(`${name} must be a whole number from 0, not "${text}"`);
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(error.message);
  }
}
