import assert from "node:assert/strict";
import { join, relative, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { ROOT } from "../support/service.ts";

const SOURCE = join(ROOT, "src");

/**
 * What each part may know of the others. A file beside the parts, such as `process.ts`, is one too.
 * The programs (`main.ts` and `commands`) put parts together, and nobody knows them.
 */
const MAY_KNOW: Readonly<Record<string, readonly string[]>> = {
  "emitter.ts": [],
  "time.ts": [],
  config: [],
  log: ["config"],
  database: ["config", "emitter.ts", "time.ts"],
  health: ["config", "database", "emitter.ts", "time.ts"],
  server: ["config", "log", "database", "health", "time.ts"],
  telemetry: ["config", "database", "health", "server", "runtime.ts"],
  "operator_signal.ts": ["database", "log"],
  "process.ts": ["log"],
  "read_config.ts": ["config"],
  "runtime.ts": [],
  "start_failure.ts": ["config"],
  "main.ts": [
    "config",
    "log",
    "database",
    "health",
    "server",
    "telemetry",
    "operator_signal.ts",
    "process.ts",
    "read_config.ts",
    "runtime.ts",
    "start_failure.ts",
  ],
  commands: ["config", "database", "process.ts", "read_config.ts"],
};

/** From a node to those that it leads to. */
type Graph = ReadonlyMap<string, ReadonlySet<string>>;

const sources = await sourceFiles(SOURCE);
const { imports, packages } = await importsOf(sources);

Deno.test("every import of src is in a direction that is allowed", () => {
  const forbidden = [...edgesOf(imports)].flatMap(([from, to]) => {
    const [part, known] = [partOf(from), partOf(to)];
    return part === known || MAY_KNOW[part]?.includes(known) ? [] : [`${from} imports ${to}`];
  });
  assert.deepEqual(forbidden, []);
});

Deno.test("every file of src was read, and every part has its place in the rule", () => {
  assert.equal(imports.size, sources.length);
  assert.deepEqual(Object.keys(MAY_KNOW).sort(), [...new Set(sources.map(partOf))].sort());
});

Deno.test("what has a mod.ts is entered through it", () => {
  const entered = [...edgesOf(imports)].flatMap(([from, to]) => {
    const folder = `${folderOf(to)}/`;
    const isBehind = sources.includes(`${folder}mod.ts`) && to !== `${folder}mod.ts`;
    return isBehind && !from.startsWith(folder) ? [`${from} imports ${to}`] : [];
  });
  assert.deepEqual(entered, []);
});

Deno.test("no files of src import each other in a circle", () => {
  assert.equal(circleIn(imports)?.join(" -> "), undefined);
});

Deno.test("no folders of src import each other in a circle", () => {
  const folders = new Map<string, Set<string>>();
  for (const [from, to] of edgesOf(imports)) {
    const [a, b] = [folderOf(from), folderOf(to)];
    // A folder and those inside of it are one thing in more files.
    if (a === b || isInside(a, b) || isInside(b, a)) continue;
    folders.getOrInsertComputed(a, () => new Set()).add(b);
  }
  assert.equal(circleIn(folders)?.join(" -> "), undefined);
});

Deno.test("only the connection knows the driver", () => {
  const users = [...packages].flatMap(([path, names]) => names.has("postgres") ? [path] : []);
  assert.deepEqual(users, ["database/connection/driver.ts"]);
});

/** Folders that know nothing of the service, so that others can take them; and what they may know. */
const ALONE: Readonly<Record<string, readonly string[]>> = {
  "database/pool": ["time.ts"],
};

Deno.test("what others can take alone imports nothing of the rest", () => {
  for (const [folder, known] of Object.entries(ALONE)) {
    assert.ok(sources.some((path) => isInside(path, folder)), `${folder} has files`);
    const forbidden = [...edgesOf(imports)].flatMap(([from, to]) => {
      const isFine = !isInside(from, folder) || isInside(to, folder) || known.includes(to);
      return isFine ? [] : [`${from} imports ${to}`];
    });
    assert.deepEqual(forbidden, []);
  }
});

/** Every TypeScript file below the directory, by its path from there. */
async function sourceFiles(directory: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(directory)) {
    const path = join(directory, name);
    if (isDirectory) files.push(...await sourceFiles(path));
    else if (name.endsWith(".ts")) files.push(relative(SOURCE, path).replaceAll(sep, "/"));
  }
  return files;
}

/** What `deno info` says of a module. */
interface Module {
  readonly specifier: string;
  readonly dependencies?: readonly {
    /** As it is written in the import. */
    readonly specifier: string;
    readonly code?: { readonly specifier?: string };
    readonly type?: { readonly specifier?: string };
  }[];
}

/** Which of the files import which, and what each of them imports by name; also for types only. */
async function importsOf(
  files: readonly string[],
): Promise<{ readonly imports: Graph; readonly packages: Graph }> {
  const urls = new Map(files.map((path) => [pathToFileURL(join(SOURCE, path)).href, path]));
  const entry = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(entry, [...urls.keys()].map((url) => `import "${url}";\n`).join(""));
    const { stdout } = await new Deno.Command(Deno.execPath(), {
      args: ["info", "--json", "--config", join(ROOT, "deno.json"), entry],
      stderr: "inherit",
    }).output();
    const { modules } = JSON.parse(new TextDecoder().decode(stdout)) as { modules: Module[] };
    const imports = new Map<string, Set<string>>();
    const packages = new Map<string, Set<string>>();
    for (const { specifier, dependencies = [] } of modules) {
      const from = urls.get(specifier);
      if (from === undefined) continue;
      const known = dependencies.flatMap(({ code, type }) =>
        [code, type].flatMap((one) => urls.get(one?.specifier ?? "") ?? [])
      );
      imports.set(from, new Set(known));
      const names = dependencies.map(({ specifier }) => specifier);
      packages.set(from, new Set(names.filter((name) => !name.startsWith("."))));
    }
    return { imports, packages };
  } finally {
    await Deno.remove(entry);
  }
}

function* edgesOf(graph: Graph): Generator<readonly [string, string]> {
  for (const [from, all] of graph) for (const to of all) yield [from, to];
}

function partOf(path: string): string {
  return path.split("/", 1)[0]!;
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function isInside(inner: string, outer: string): boolean {
  return inner.startsWith(`${outer}/`) || outer === "";
}

/** A way from a node back to itself; undefined when there is none. */
function circleIn(graph: Graph): readonly string[] | undefined {
  const harmless = new Set<string>();
  const search = (node: string, way: readonly string[]): readonly string[] | undefined => {
    if (way.includes(node)) return [...way.slice(way.indexOf(node)), node];
    if (harmless.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const circle = search(next, [...way, node]);
      if (circle !== undefined) return circle;
    }
    harmless.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const circle = search(node, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}
