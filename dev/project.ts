import { join } from "node:path";
import { parse as parseEnvFile } from "dotenv";
import { readTextIfThere } from "./files.ts";

/** Where things are in a checkout. */
export class Project {
  readonly root: string;
  readonly envFile: string;
  readonly denoJson: string;
  /** What `deno task dev` keeps between runs; not under version control. */
  readonly dataDirectory: string;

  constructor(root: string) {
    this.root = root;
    this.envFile = join(root, ".env");
    this.denoJson = join(root, "deno.json");
    this.dataDirectory = join(root, ".data");
  }

  /** What the environment and `.env` say together; the real environment wins. */
  async variables(env: Readonly<Record<string, string>>): Promise<Record<string, string>> {
    return { ...parseEnvFile(await readTextIfThere(this.envFile)), ...env };
  }

  /**
   * The arguments for `deno` of the task `start`, so that a service under development has exactly
   * the permissions of one in production.
   *
   * @throws {Error} When the task is missing or is not one plain `deno run …`.
   */
  async startArguments(): Promise<string[]> {
    const { tasks } = JSON.parse(await Deno.readTextFile(this.denoJson));
    const task: unknown = tasks?.start?.command ?? tasks?.start;
    const words = typeof task === "string" ? task.trim().split(/\s+/) : [];
    if (words[0] !== "deno" || words[1] !== "run" || /["'`$;|&<>\\]/.test(words.join(" "))) {
      throw new Error(
        `${this.denoJson}: the task start must be one "deno run …" command without quotes or ` +
          "shell operators, because the task dev runs it without a shell.",
      );
    }
    return words.slice(1);
  }
}
