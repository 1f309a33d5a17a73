import { ConfigError } from "../config/mod.ts";
import { DatabaseError } from "../database/mod.ts";
import { stopSignal } from "../process.ts";
import { UsageError } from "./usage_error.ts";

/** What a process of `deno task` ends with. */
export const EXIT = {
  done: 0,
  /** The database, or the state that it is in, did not allow it. */
  failed: 1,
  /** Wrong arguments or settings; nothing was begun. */
  usage: 2,
  /** Stopped by a signal; the shells' number for Ctrl-C. */
  stopped: 130,
} as const;

/** One of {@linkcode EXIT}. */
export type ExitCode = typeof EXIT[keyof typeof EXIT];

/** What a {@linkcode Command} gets. */
export interface CommandContext {
  readonly args: readonly string[];
  /** Aborts on the first SIGINT or SIGTERM. A second one ends the process at once. */
  readonly signal: AbortSignal;
}

/** The work of one command. Without an exit code it is done. */
export type Command = (context: CommandContext) => Promise<ExitCode | void>;

/**
 * Runs a command as this process: gives it the arguments and a signal, prints what went wrong for
 * people, and exits. Errors that are nobody's mistake but the program's are thrown.
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
