import { dirname, join, relative, sep } from "node:path";
import { exists } from "./files.ts";

const DIRECTORIES = ["src", "gen", "migrations"];
const FILES = [".env", "deno.json"];
/** Editors and code generators write several files in a row. */
const QUIET_MS = 150;

/**
 * Calls back when a source file of the service has changed, once for each burst of changes, with
 * the path of the first.
 */
export class ProjectWatcher implements AsyncDisposable {
  readonly #root: string;
  readonly #watchers: Deno.FsWatcher[];
  readonly #followed: Promise<unknown>;
  readonly #onChange: (path: string) => void;
  #firstPath: string | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  private constructor(
    root: string,
    directories: readonly string[],
    onChange: (path: string) => void,
  ) {
    this.#root = root;
    this.#onChange = onChange;
    this.#watchers = [
      ...directories.map((directory) => Deno.watchFs(directory)),
      // Only two files in the root are relevant. The directory is watched, because editors replace
      // files, and .env may be created later.
      Deno.watchFs(root, { recursive: false }),
    ];
    this.#followed = Promise.all(this.#watchers.map((watcher) => this.#follow(watcher)));
  }

  static async start(
    directory: string,
    onChange: (path: string) => void,
  ): Promise<ProjectWatcher> {
    // Resolved, as in the events: /tmp on macOS, for example, is a symbolic link.
    const root = await Deno.realPath(directory);
    const existing: string[] = [];
    for (const path of DIRECTORIES.map((name) => join(root, name))) {
      if (await exists(path)) existing.push(path);
    }
    return new ProjectWatcher(root, existing, onChange);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
    await this.#followed;
  }

  async #follow(watcher: Deno.FsWatcher): Promise<void> {
    for await (const { kind, paths } of watcher) {
      if (kind === "access" || kind === "any") continue; // reading is not a change
      const path = paths.map((path) => relative(this.#root, path)).find(isRelevant);
      if (path === undefined) continue;
      this.#firstPath ??= path;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#report(), QUIET_MS);
    }
  }

  #report(): void {
    const path = this.#firstPath ?? "";
    this.#firstPath = undefined;
    this.#onChange(path);
  }
}

function isRelevant(path: string): boolean {
  return dirname(path) === "." ? FILES.includes(path) : DIRECTORIES.includes(path.split(sep)[0]!);
}
