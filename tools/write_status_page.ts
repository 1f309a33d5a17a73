/**
 * Bundles the status page from `web/` into `gen/status_page/`, so that the service needs no build
 * step. Run by `deno task generate`.
 *
 * @module
 */
import { build } from "esbuild";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const folder = new URL("../gen/status_page/", import.meta.url);

await build({
  entryPoints: [{ in: "web/main.ts", out: "status" }, { in: "web/style.css", out: "status" }],
  outdir: fileURLToPath(folder),
  absWorkingDir: root,
  bundle: true,
  minify: true,
  format: "esm",
  target: ["es2022", "chrome111", "firefox115", "safari16.4"],
  legalComments: "eof",
});
await Deno.copyFile(new URL("../web/index.html", import.meta.url), new URL("index.html", folder));
// Stops the child process of esbuild.
Deno.exit(0);
