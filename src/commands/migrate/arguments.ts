import { parseArgs } from "node:util";
import { UsageError } from "../usage_error.ts";

/** golang-migrate's default. */
const LOCK_TIMEOUT_SECONDS = 15;

/** What was asked for. */
export interface MigrateArguments {
  readonly command: string;
  /** What follows the command and is no option. */
  readonly operands: readonly string[];
  readonly all: boolean;
  readonly yes: boolean;
  readonly dryRun: boolean;
  readonly lockTimeoutMs: number;
  /** Folder of the migrations; undefined for the service's own. */
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

/** The options that make sense for some commands only. */
const COMMANDS_OF: Readonly<Record<string, readonly string[]>> = {
  all: ["down"],
  yes: ["down", "drop"],
  "dry-run": ["up", "down", "goto"],
};

/** `-1`, which `force` takes, is not an option. */
const NEGATIVE = /^-\d+$/;

/**
 * Understands the arguments of `deno task migrate`; undefined when help was asked for.
 *
 * @throws {UsageError} An option that does not exist, or not for this command; no command.
 */
export function parseArguments(args: readonly string[]): MigrateArguments | undefined {
  const { values, positionals } = parse(args.filter((arg) => !NEGATIVE.test(arg)));
  if (values.help || positionals[0] === "help") return undefined;
  const [command, ...operands] = [...positionals, ...args.filter((arg) => NEGATIVE.test(arg))];
  if (command === undefined) throw new UsageError("Which command? See: deno task migrate help");
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

/** @throws {UsageError} It is no whole number from 0. */
export function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new UsageError(`${name} must be a whole number, not "${text}"`);
}

function parse(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(error.message);
  }
}
