import { join } from "node:path";
import denoJson from "../../deno.json" with { type: "json" };
import { ROOT } from "./service.ts";

/** What others import of this project, and the path of its file. */
export const PACKAGE_EXPORTS: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(denoJson.exports).map(([subpath, file]) => [
    denoJson.name + subpath.slice(1),
    join(ROOT, file),
  ]),
);
