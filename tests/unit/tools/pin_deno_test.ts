import assert from "node:assert/strict";
import { join } from "node:path";
import { NEWEST_TRIED } from "../../../src/runtime.ts";
import {
  type Mention,
  mentionsIn,
  pin,
  PIN_FILE,
  pinnedVersion,
  projectTexts,
  repin,
} from "../../../tools/pin_deno.ts";
import { ROOT } from "../../support/service.ts";

const found = await mentions();

async function mentions(): Promise<Map<string, Mention[]>> {
  const all = new Map<string, Mention[]>();
  for await (const [path, text] of projectTexts(ROOT)) {
    const inFile = mentionsIn(path, text);
    if (inFile.length > 0) all.set(path, inFile);
  }
  return all;
}

Deno.test("every file that says which Deno to use says the pinned one", async () => {
  const pinned = await pinnedVersion(ROOT);
  const others = [...found.values()].flat().filter(({ version }) => version !== pinned);
  assert.deepEqual(others.map(({ place, version }) => `${place}: ${version}`), []);
});

Deno.test("the files that must say which Deno to use do so", () => {
  for (
    const path of [
      PIN_FILE,
      "README.md",
      "CONTRIBUTING.md",
      "CLAUDE.md",
      "Dockerfile",
      "docs/docker.md",
      "docs/local-development.md",
      "src/runtime.ts",
    ]
  ) assert.ok(found.has(path), path);
});

Deno.test("the newest version that was tried is the pinned one", async () => {
  assert.equal(NEWEST_TRIED, await pinnedVersion(ROOT));
});

/** A text with a version in each form, so that this file itself has none. */
const forms = (version: string) => [
  `npx -y deno@${version} task dev`,
  `FROM denoland/deno:${version}`,
  `FROM denoland/deno:alpine-${version}`,
  `DENO_VERSION := ${version}`,
  `DENO_VERSION="${version}"`,
  `export const NEWEST_TRIED = "${version}";`,
  `  deno-version: v${version}`,
];

Deno.test("each form is found, raised, and nothing around it", () => {
  const old = forms("1.2.3").join("\n");
  const versions = mentionsIn("any", old).map(({ version }) => version);
  assert.deepEqual(versions, forms("").map(() => "1.2.3"));
  assert.equal(mentionsIn("any", old).at(-1)!.place, `any:${forms("").length}`);
  assert.equal(repin("any", old, "1.2.3", "1.20.0"), forms("1.20.0").join("\n"));
  assert.equal(repin("any", old, "1.2.2", "1.20.0"), old);
});

Deno.test("prose counts in documents, over the end of a line too, and not in code", () => {
  const prose = (version: string) =>
    `[Deno](https://deno.com) ${version}, Deno 2.9.4 to ${version}, Deno\n${version}. Zod 4.6.7`;
  assert.equal(repin("README.md", prose("1.2.3"), "1.2.3", "1.2.4"), prose("1.2.4"));
  assert.deepEqual(mentionsIn("src/any.ts", prose("1.2.3")), []);
});

Deno.test("records of what was measured stay as they are", () => {
  assert.deepEqual(mentionsIn("docs/benchmarks.md", "Deno 1.2.3, 2 cores"), []);
});

Deno.test("the pin itself is the line of Deno in the file of all tools", () => {
  const tools = "nodejs 20.20.2\ndeno 1.2.3\n";
  assert.equal(repin(PIN_FILE, tools, "1.2.3", "1.2.4"), "nodejs 20.20.2\ndeno 1.2.4\n");
  assert.deepEqual(mentionsIn("any", tools), []);
});

Deno.test("a project is raised as a whole, but for what Git leaves out", async () => {
  const old = "3.0.1";
  const root = await Deno.makeTempDir({ prefix: "treasury-pin-" });
  try {
    const files = {
      [PIN_FILE]: (version: string) => `deno ${version}\n`,
      "README.md": (version: string) => `With Deno ${version}: npx -y deno@${version} task dev`,
      ".ci/run": (version: string) => `npx -y deno@${version}`,
      "image.png": () => `\0 deno@${old}`,
      ".gitignore": () => "/left/\n",
      "left/out": () => `deno@${old}`,
    };
    for (const directory of [".ci", "left"]) await Deno.mkdir(join(root, directory));
    for (const [path, content] of Object.entries(files)) {
      await Deno.writeTextFile(join(root, path), content(old));
    }
    await Deno.symlink("left", join(root, "link"));
    await new Deno.Command("git", { args: ["init", "--quiet", root] }).output();
    assert.deepEqual((await pin(root, "3.0.2")).sort(), [".ci/run", PIN_FILE, "README.md"]);
    for (const [path, content] of Object.entries(files)) {
      assert.equal(await Deno.readTextFile(join(root, path)), content("3.0.2"), path);
    }
    assert.deepEqual(await pin(root, "3.0.2"), []);
    for (const wrong of ["", "latest", "3.0", "2.9.3"]) {
      await assert.rejects(pin(root, wrong), RangeError, wrong);
    }
    assert.equal(await pinnedVersion(root), "3.0.2");
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
