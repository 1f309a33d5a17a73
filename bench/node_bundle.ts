import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** Within node_modules, so that Node.js finds the packages. */
const DIRECTORY = new URL("../node_modules/.cache/treasury-bench/", import.meta.url);

/** Globals that the sources use and Node.js 20 lacks. */
const NODE_SHIM = `globalThis.Deno ??= { noColor: true, stdout: { isTerminal: () => false } };
Promise.withResolvers ??= function () {
  let resolve, reject;
  const promise = new this((...functions) => [resolve, reject] = functions);
  return { promise, resolve, reject };
};`;

/**
 * Bundles a program of this folder for Node.js 20.
 *
 * @param name File name without extension.
 * @returns The path of the bundle.
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
