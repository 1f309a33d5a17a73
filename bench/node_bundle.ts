import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Below node_modules, where Node.js finds the packages. */
const DIRECTORY = new URL("../node_modules/.cache/treasury-bench/", import.meta.url);

/** What the sources take for granted, and Node.js 20 lacks. */
const NODE_SHIM = `globalThis.Deno ??= { noColor: true, stdout: { isTerminal: () => false } };
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((...functions) => [resolve, reject] = functions);
  return { promise, resolve, reject };
};`;

/**
 * Bundles a program of this folder for Node.js 20.
 *
 * @param name The name of its file, without its extension.
 * @returns the path of the bundle
 */
export async function bundleForNode(name: string): Promise<string> {
  await mkdir(DIRECTORY, { recursive: true });
  const outfile = fileURLToPath(new URL(`${name}.mjs`, DIRECTORY));
  await build({
    entryPoints: [fileURLToPath(new URL(`./${name}.ts`, import.meta.url))],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
    banner: { js: NODE_SHIM },
    logLevel: "warning",
  });
  return outfile;
}
