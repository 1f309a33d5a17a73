import { parseArgs } from "node:util";
import { UsageError } from "../usage_error.ts";

/** golang-migrate's default. */
const LOCK_TIMEOUT_SECONDS = 15;

/** The parsed command line of `deno task migrate`. */
export interface MigrateArguments {
  readonly command: string;
  /** The arguments after the command, without options. */
  readonly operands: readonly string[];
  readonly all: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly lockTimeoutMs: number;
  /** Folder with the migration files; undefined: that of the service. */
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

/** Options that only some commands accept, with those commands. */
const COMMANDS_OF: Readonly<Record<string, readonly string[]>> = {
  all: ["down"],
  yes: ["down", "drop"],
  "dry-run": ["up", "down", "goto"],
};

/** `force` accepts `-1`, which is not an option. */
const NEGATIVE = /^-\d+$/;

/**
 * Parses the arguments of `deno task migrate`; returns undefined for help.
 *
 * @throws {UsageError} If the command is missing, or an option is unknown or not valid for the
 * command.
 */
export function parseArguments(args: readonly string[]): MigrateArguments | undefined {
  const { values, positionals } = parse(args.filter((arg) => !NEGATIVE.test(arg)));
  if (values.help || positionals[0] === "help") return undefined;
  const [command, ...operands] = [...positionals, ...args.filter((arg) => NEGATIVE.test(arg))];
  if (command === undefined) {
    throw new UsageError("Missing command; see: deno task migrate help");
  }
  for (const [option, commands] of Object.entries(COMMANDS_OF)) {
    const isGiven = values[option as keyof typeof values] === true;
    if (isGiven && !commands.includes(command)) {
      throw new UsageError(`--${option} is valid for ${commands.join(", ")}, not for ${command}`);
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
 * @throws {UsageError} If it is not a whole number, 0 or greater.
 */
export function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new UsageError(`${name} must be a whole number, 0 or greater, not "${text}"`);
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(error.message);
  }
}
