/**
 * Fails if the documentation of the exported modules is incomplete: `deno doc --lint` finds an
 * export without a docstring or with a type that is not exported, or an example is excluded from
 * being compiled and run by `tests/e2e/doc_examples_test.ts`.
 */
import denoJson from "../deno.json" with { type: "json" };

/** Folders that must be completely documented. Generated code is documented in proto/. */
const DOCUMENTED = [
  "src/config/",
  "src/database/",
  "src/health/",
];

/** Info string of a code block that `deno test --doc` leaves out. */
const LEFT_OUT = /```(ts|js|typescript|javascript) ignore/;

const problems = [...await lintProblems(), ...await ignoredExamples()];
for (const problem of problems) console.error(`${problem}\n`);
if (problems.length > 0) {
  console.error(`Found ${problems.length} gaps in the documentation of the package.`);
  Deno.exit(1);
}
console.log("The documentation of the package has no gaps.");

/** Linted together, because each module may use the types that another one exports. */
async function lintProblems(): Promise<string[]> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--lint", ...Object.values(denoJson.exports)],
    env: { NO_COLOR: "1" },
    stdout: "null",
    stderr: "piped",
  }).output();
  if (success) return [];
  const output = new TextDecoder().decode(stderr);
  const found = output.split("\n\n").filter((block) => /^ +--> /m.test(block));
  if (found.length === 0) return [output];
  return found.filter((block) => {
    const path = /^ +--> (.*?):\d+:\d+$/m.exec(block)?.[1]?.replaceAll("\\", "/") ?? "";
    return DOCUMENTED.some((folder) => path.includes(`/${folder}`));
  });
}

async function ignoredExamples(): Promise<string[]> {
  const found: string[] = [];
  for (const folder of DOCUMENTED) {
    for await (const path of filesBelow(folder)) {
      const lines = (await Deno.readTextFile(path)).split("\n");
      lines.forEach((line, index) => {
        if (LEFT_OUT.test(line)) found.push(`${path}:${index + 1}: the example is never run`);
      });
    }
  }
  return found;
}

async function* filesBelow(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory) yield* filesBelow(`${folder}${name}/`);
    else if (name.endsWith(".ts")) yield folder + name;
  }
}
