import assert from "node:assert/strict";
import { parse } from "dotenv";
import { loadConfig } from "../../../src/config/mod.ts";
import {
  renderEnvExample,
  renderNames,
  renderTables,
  replaceSection,
} from "../../../src/config/reference.ts";
import { settingNames } from "../../../src/config/settings.ts";

const repositoryFile = (path: string) => {
  return Deno.readTextFileSync(new URL(`../../../${path}`, import.meta.url));
};
const envExample = repositoryFile(".env.example");
const documentation = repositoryFile("docs/configuration.md");

Deno.test("the documentation has the settings of the code (else: deno task generate)", () => {
  const tables = replaceSection(documentation, "settings", renderTables());
  assert.equal(documentation, replaceSection(tables, "names", renderNames()));
});

Deno.test(".env.example has the settings of the code (else: deno task generate)", () => {
  assert.equal(envExample, renderEnvExample());
});

Deno.test("every setting is in the tables and in .env.example exactly once", () => {
  const inTables = [...documentation.matchAll(/^\| `([A-Z_]+)` +\|(?:[^|]*\|){3}/gm)];
  const rowsOfSettings = inTables.map(([, name]) => name!);
  for (const name of settingNames) {
    assert(rowsOfSettings.includes(name), `${name} is not in docs/configuration.md`);
    const lines = envExample.match(new RegExp(`^(# )?${name}=.+$`, "gm")) ?? [];
    assert.equal(lines.length, 1, `${name} in .env.example`);
  }
});

Deno.test("the variables of .env.example are the specification's, with its values", () => {
  assert.deepEqual(parse(envExample), {
    DB_HOST: "localhost",
    DB_PORT: "5432",
    DB_NAME: "treasury_db",
    DB_USER: "treasury_user",
    DB_PASSWORD: "treasury_pass",
    DB_SCHEMA: "public",
    DB_SSL_MODE: "disable",
    DB_MAX_CONNECTIONS: "25",
    DB_MAX_IDLE_CONNECTIONS: "5",
    DB_CONNECTION_MAX_LIFETIME: "3600",
    DB_CONNECTION_MAX_IDLE_TIME: "900",
    DB_HEALTH_CHECK_INTERVAL: "30",
    DB_PING_TIMEOUT: "5",
  });
});

Deno.test(".env.example is a valid configuration and changes no default", () => {
  const readTextFile = () => envExample;
  const { database, ...others } = loadConfig({ env: {}, envFile: ".env.example", readTextFile });
  const defaults = loadConfig({ env: { DB_PASSWORD: "treasury_pass" } });
  assert.deepEqual({ database, ...others }, defaults);
  assert.equal(database.password?.reveal(), "treasury_pass");
});

Deno.test("a section without markers is an error", () => {
  assert.throws(() => replaceSection("no markers here", "settings", ""), /markers/);
});
