import { ConfigError } from "../config/mod.ts";
import { DatabaseError } from "../database/mod.ts";
import { stopSignal } from "../process.ts";
import { UsageError } from "./usage_error.ts";

/** Exit codes of the commands. */
export const EXIT = {
  done: 0,
  /** The database, or its state, prevented it. */
  failed: 1,
  /** Wrong arguments or settings; nothing was changed. */
  usage: 2,
  /** Stopped by a signal; the exit code of shells for Ctrl-C. */
  stopped: 130,
} as const;

/** One of {@linkcode EXIT}. */
export type ExitCode = typeof EXIT[keyof typeof EXIT];

/** Arguments and abort signal of a {@linkcode Command}. */
export interface CommandContext {
  readonly args: readonly string[];
  /** Aborts on the first SIGINT or SIGTERM. A second one terminates the process immediately. */
  readonly signal: AbortSignal;
}

/** The work of a command. Without an exit code, it has succeeded. */
export type Command = (context: CommandContext) => Promise<ExitCode | void>;

/**
 * Runs a command as the main function of this process: passes arguments and a signal, prints
 * errors, and exits. Throws errors that are bugs.
 *
 * ```ts ignore
 * if (import.meta.main) await runCommand(migrate);
 * ```
 */
export async function runCommand(command: Command): Promise<never> {
  const controller = new AbortController();
  void stopSignal(() => Deno.exit(EXIT.stopped)).then((signal) =>
    controller.abort(new DatabaseError("ABORTED", { message: `Stopped by ${signal}` }))
  );
  try {
    const { signal } = controller;
    Deno.exit(await command({ args: Deno.args, signal }) ?? EXIT.done);
  } catch (error) {
    Deno.exit(explain(error, controller.signal.aborted));
  }
}

function explain(error: unknown, isStopped: boolean): ExitCode {
  if (error instanceof ConfigError || error instanceof UsageError) {
    console.error(error.message);
    return EXIT.usage;
  }
  if (!(error instanceof DatabaseError)) throw error;
  console.error(error.message);
  return isStopped ? EXIT.stopped : EXIT.failed;
}
