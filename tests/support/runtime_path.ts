/**
 * Prints where a program of an npm package is, and downloads the package when it is not there. Runs
 * as a process of its own, because a lock file of its own belongs to it: nobody who installs this
 * project's packages is to download other runtimes.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

const [specifier, program] = Deno.args;
await import(`npm:${specifier}/package.json`, { with: { type: "json" } });
console.log(fileURLToPath(import.meta.resolve(`npm:${specifier}/${program}`)));
