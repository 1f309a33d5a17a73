import { join } from "node:path";
import type { MigrationFolder } from "./migration_folder.ts";
import type { TestPostgres } from "./postgres.ts";
import { databaseEnv, ROOT } from "./service.ts";

/** What a process of `deno task migrate` ended with. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface MigrateCommandOptions {
  /** Default: the service's own migrations. */
  readonly folder?: MigrationFolder;
  /** What is typed; default: the end of the input. */
  readonly stdin?: string;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs `deno task migrate` with these arguments, in a process and with the permissions of its own. */
export async function migrateCommand(
  server: TestPostgres,
  args: readonly string[],
  options: MigrateCommandOptions = {},
): Promise<CommandResult> {
  const child = await startMigrateCommand(server, args, options);
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(options.stdin ?? ""));
  await writer.close();
  return await resultOf(child);
}

/** As {@linkcode migrateCommand}, without waiting; its end is the caller's. */
export async function startMigrateCommand(
  server: TestPostgres,
  args: readonly string[],
  { folder, env }: MigrateCommandOptions = {},
): Promise<Deno.ChildProcess> {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json")));
  const words: string[] = tasks.migrate.command.split(" ").slice(1);
  const { PATH = "", HOME = "" } = Deno.env.toObject();
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...words.map((word) => withFolder(word, folder?.path ?? join(ROOT, "migrations"))),
      ...args,
      ...(folder === undefined ? [] : ["--path", folder.path]),
    ],
    cwd: ROOT,
    clearEnv: true,
    env: { PATH, HOME, NO_COLOR: "1", ...databaseEnv(server), ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

/** Waits for the end of a process, and for everything that it has printed. */
export async function resultOf(child: Deno.ChildProcess): Promise<CommandResult> {
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: ownLines(decoder.decode(stderr)) };
}

/** Without what Deno itself says when several processes start at once. */
function ownLines(stderr: string): string {
  return stderr.replaceAll(/^Blocking waiting for file lock.*\n/gm, "");
}

/** The permissions of the task name the service's own folder. */
function withFolder(word: string, path: string): string {
  return /^--allow-(read|write)=/.test(word) ? word.replace("migrations", path) : word;
}
