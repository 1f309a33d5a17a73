import assert from "node:assert/strict";
import { ConfigError, ConfigSource, type ConfigSourceOptions } from "../../../src/config/mod.ts";
import { readFrom } from "./problems_of.ts";

const isDatabaseConfigured = (options: ConfigSourceOptions) =>
  new ConfigSource(options).isDatabaseConfigured();

for (const name of ["DATABASE_URL", "DB_HOST", "DB_NAME", "DB_USER", "PGHOST"]) {
  Deno.test(`a database is configured by ${name}, in the environment or in .env`, () => {
    const readTextFile = readFrom({ ".env": `${name}=something` });
    assert.equal(isDatabaseConfigured({ env: { [name]: "something" } }), true);
    assert.equal(isDatabaseConfigured({ env: {}, envFile: ".env", readTextFile }), true);
  });
}

Deno.test("a database is not configured by other or empty variables", () => {
  const readTextFile = readFrom({ ".env": "DB_HOST=\nSERVER_PORT=80" });
  const env = { DB_PASSWORD: "hunter2", DB_SCHEMA: "public", DB_NAME: "", PGPORT: "5432" };
  assert.equal(isDatabaseConfigured({ env, envFile: ".env", readTextFile }), false);
});

Deno.test("an unreadable .env is an error, not an unconfigured database", () => {
  const readTextFile = () => {
    throw Object.assign(new Error("no"), { code: "EACCES" });
  };
  assert.throws(
    () => isDatabaseConfigured({ env: {}, envFile: ".env", readTextFile }),
    ConfigError,
  );
});
