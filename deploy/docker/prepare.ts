/**
 * Derives from the checkout what the image holds besides the sources, so that nothing is told
 * twice. Run by the Dockerfile, in the checkout's copy:
 *
 * - `image/deno.json`: deno.json with the packages that the service imports, and no others;
 * - `image/bin/<task>`: an executable for each task that runs in the image, with the task's own
 *   permissions;
 * - `packages/deno.json`, `packages/packages.ts`: as little as `deno install` needs, so that its
 *   layer changes only when the packages do.
 *
 * @module
 */
import { join } from "node:path";

type Imports = Readonly<Record<string, string>>;

interface DenoJson {
  readonly imports: Imports;
  readonly nodeModulesDir: string;
  readonly tasks: Readonly<Record<string, string | { readonly command: string }>>;
}

/** Tasks that run the sources, and no other program. */
const RUNTIME_TASK = /^deno run (?!.*(-A|--allow-all|--allow-run)\b).*\bsrc\/\S+\.ts$/;
const IMPORTED = /\b(?:from|import)\s*\(?\s*"([^"]+)"/g;

/** What the sources in these folders import of the import map: packages, and parts of them. */
function importedPackages(folders: readonly string[], imports: Imports): string[] {
  const texts = folders.flatMap((folder) => [...sourceFiles(folder)]).map(Deno.readTextFileSync);
  const names = texts.flatMap((text) => [...text.matchAll(IMPORTED)].map(([, name]) => name!));
  const mapped = (name: string) => Object.keys(imports).some((key) => isPartOf(name, key));
  return [...new Set(names)].filter(mapped).sort();
}

/** Whether an import is a package or something in it, such as `@bufbuild/protobuf/wkt`. */
function isPartOf(name: string, packageName: string): boolean {
  return name === packageName || name.startsWith(`${packageName}/`);
}

function* sourceFiles(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* sourceFiles(path);
    else if (entry.name.endsWith(".ts")) yield path;
  }
}

/** A shell script that runs a task's command from any folder and downloads nothing. */
function executable(command: string): string {
  const offline = command.replace(/^deno run/, "deno run --cached-only --frozen");
  // Without file name expansion: permissions have stars in them.
  return `#!/bin/sh\nset -f\ncd /app\nexec ${offline} "$@"\n`;
}

function write(path: string, content: string, mode = 0o644): void {
  Deno.mkdirSync(join(path, ".."), { recursive: true });
  Deno.writeTextFileSync(path, content, { mode });
}

if (import.meta.main) {
  const denoJson: DenoJson = JSON.parse(Deno.readTextFileSync("deno.json"));
  const packages = importedPackages(["src", "gen"], denoJson.imports);
  const imports = Object.fromEntries(
    Object.entries(denoJson.imports).filter(([key]) =>
      packages.some((name) => isPartOf(name, key))
    ),
  );
  const { nodeModulesDir } = denoJson;
  write("packages/deno.json", JSON.stringify({ nodeModulesDir, imports }));
  write("packages/packages.ts", packages.map((name) => `import "${name}";\n`).join(""));
  write("image/deno.json", JSON.stringify({ ...denoJson, imports }));
  for (const [name, task] of Object.entries(denoJson.tasks)) {
    const command = typeof task === "string" ? task : task.command;
    if (RUNTIME_TASK.test(command)) write(`image/bin/${name}`, executable(command), 0o755);
  }
}
