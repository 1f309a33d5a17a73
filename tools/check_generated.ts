/**
 * Fails if `deno task generate` would change a committed file: run it after changes to a .proto
 * file or a setting, and do not edit generated files.
 */
const GENERATED = [
  "gen",
  "tests/conformance/gen",
  "docs/configuration.md",
  "docs/errors.md",
  ".env.example",
  "deploy/grafana/dashboards",
];

const before = await snapshot();
const { success } = await new Deno.Command(Deno.execPath(), { args: ["task", "generate"] }).spawn()
  .status;
if (!success) Deno.exit(1);
const after = await snapshot();

const paths = new Set([...before.keys(), ...after.keys()]);
const changed = [...paths].filter((path) => before.get(path) !== after.get(path));
if (changed.length > 0) {
  console.error(`Generated files were out of date: ${changed.join(", ")}`);
  console.error("They have been regenerated: commit them (`deno task generate` does the same).");
  Deno.exit(1);
}
console.log("Generated files are up to date.");

async function snapshot(): Promise<Map<string, string>> {
  const contents = new Map<string, string>();
  for (const path of GENERATED) await read(path, contents);
  return contents;
}

async function read(path: string, contents: Map<string, string>): Promise<void> {
  if ((await Deno.stat(path)).isFile) {
    contents.set(path, await Deno.readTextFile(path));
    return;
  }
  for await (const entry of Deno.readDir(path)) await read(`${path}/${entry.name}`, contents);
}
