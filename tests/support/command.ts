import { join } from "node:path";
import { ROOT } from "./service.ts";

/** How a command of `deno task` ended. */
export interface CommandResult {
  readonly code: number;
  /** Everything that it printed, on both streams. */
  readonly output: string;
}

export interface CommandOptions {
  /** The command's whole environment; nothing is inherited but PATH and HOME. */
  readonly env?: Readonly<Record<string, string>>;
  /** What it can read; without it, nothing. */
  readonly input?: string;
}

/**
 * Runs a task of deno.json with the permissions that it has there, but in an empty directory: in
 * the project a developer's `.env` would join in.
 */
export async function runTask(
  task: string,
  args: readonly string[] = [],
  { env = {}, input = "" }: CommandOptions = {},
): Promise<CommandResult> {
  const directory = await Deno.makeTempDir({ prefix: "treasury-command-" });
  try {
    const { PATH = "", HOME = "" } = Deno.env.toObject();
    const child = new Deno.Command(Deno.execPath(), {
      args: [...await taskArguments(task), ...args],
      cwd: directory,
      clearEnv: true,
      env: { PATH, HOME, NO_COLOR: "1", ...env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const stdin = child.stdin.getWriter();
    // A command that does not read may have ended already.
    await stdin.write(new TextEncoder().encode(input)).catch(() => {});
    await stdin.close().catch(() => {});
    const { code, stdout, stderr } = await child.output();
    const decoder = new TextDecoder();
    return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function taskArguments(task: string): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const [, ...words]: string[] = tasks[task].command.split(" ");
  return words.map((word) => {
    if (/^(src|bench)\//.test(word)) return join(ROOT, word);
    if (!word.startsWith("--allow-read=")) return word;
    return word.replace("migrations", join(ROOT, "migrations"));
  });
}
