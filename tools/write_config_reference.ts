/**
 * Writes the generated parts of `docs/configuration.md`, and `.env.example`, from the catalog of
 * settings. Run by `deno task generate`; requires --allow-read and --allow-write for both files.
 *
 * @module
 */
import {
  renderEnvExample,
  renderNames,
  renderTables,
  replaceSection,
} from "../src/config/reference.ts";

const documentation = new URL("../docs/configuration.md", import.meta.url);
const envExample = new URL("../.env.example", import.meta.url);

const withTables = replaceSection(
  await Deno.readTextFile(documentation),
  "settings",
  renderTables(),
);
await Deno.writeTextFile(documentation, replaceSection(withTables, "names", renderNames()));
await Deno.writeTextFile(envExample, renderEnvExample());
