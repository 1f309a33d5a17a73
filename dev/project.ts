import { join } from "node:path";
import { parse as parseEnvFile } from "dotenv";
import { readTextIfThere } from "./files.ts";

/** Paths and tasks of a checkout. */
export class Project {
  readonly root: string;
  readonly envFile: string;
  readonly denoJson: string;
  /** Files that `deno task dev` keeps between runs; not under version control. */
  readonly dataDirectory: string;

  constructor(root: string) {
    this.root = root;
    this.envFile = join(root, ".env");
    this.denoJson = join(root, "deno.json");
    this.dataDirectory = join(root, ".data");
  }

  /** The settings of the environment and `.env`; the environment takes precedence. */
  async variables(env: Readonly<Record<string, string>>): Promise<Record<string, string>> {
    return { ...parseEnvFile(await readTextIfThere(this.envFile)), ...env };
  }

  /**
   * Returns the arguments of `deno` in the task `start`, so that a service under development has
   * the permissions of production.
   *
   * @throws {Error} If the task is missing or is not a single `deno run …` command.
   */
  async startArguments(): Promise<string[]> {
    const { tasks } = JSON.parse(await Deno.readTextFile(this.denoJson));
    const task: unknown = tasks?.start?.command ?? tasks?.start;
    const words = typeof task === "string" ? task.trim().split(/\s+/) : [];
    if (words[0] !== "deno" || words[1] !== "run" || /["'`$;|&<>\\]/.test(words.join(" "))) {
      throw new Error(
        `${this.denoJson}: the task start must be a single "deno run …" command without quotes or ` +
          "shell operators, because the task dev runs it without a shell.",
      );
    }
    return words.slice(1);
  }
}
