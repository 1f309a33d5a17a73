import { buildSync, transformSync } from "esbuild";
import assert from "node:assert/strict";
import { join } from "node:path";
import { PACKAGE_EXPORTS } from "../support/package.ts";
import { ROOT } from "../support/service.ts";

/** What the name of the runtime's own object is replaced by, where it is not part of a text. */
const MARK = "THE_GLOBAL_DENO";

// Here and not in the tests, which esbuild's worker would outlive.
const ofPackage = filesOf(Object.values(PACKAGE_EXPORTS));
const usingDeno = ofPackage.filter(usesDeno);
const isMainFound = usesDeno("src/main.ts");

Deno.test("nothing that others take of this project uses what only Deno has", () => {
  assert(ofPackage.includes("src/database/manager.ts"));
  assert(ofPackage.includes("gen/treasury/v1/health_pb.ts"));
  assert.deepEqual(usingDeno, []);
});

Deno.test("a use of Deno is found", () => {
  assert(isMainFound);
});

/** Every file of this project that the modules need. */
function filesOf(modules: readonly string[]): string[] {
  const { metafile } = buildSync({
    entryPoints: [...modules],
    absWorkingDir: ROOT,
    outdir: "unused",
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    metafile: true,
    write: false,
  });
  return Object.keys(metafile.inputs);
}

function usesDeno(path: string): boolean {
  const { code } = transformSync(Deno.readTextFileSync(join(ROOT, path)), {
    loader: "ts",
    define: { Deno: MARK },
  });
  return code.includes(MARK);
}
