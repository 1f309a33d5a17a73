import assert from "node:assert/strict";
import { loadConfig, passwordInFile } from "../../../src/config/mod.ts";
import { errorOf, problemsOf, readFrom } from "./problems_of.ts";

for (
  const [text, password] of [
    ["hunter2", "hunter2"],
    ["hunter2\n", "hunter2"],
    ["hunter2\r\n", "hunter2"],
    ["hunter2\n\n", "hunter2\n"],
    ["  hunter2 ", "  hunter2 "],
    ["\n", undefined],
    ["", undefined],
  ] as const
) {
  Deno.test(`password in a file with ${JSON.stringify(text)}`, () => {
    assert.equal(passwordInFile(text)?.reveal(), password);
  });
}

Deno.test("the password file is read, and its path kept for reading it again", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(path, "hunter2\n");
    const { database } = loadConfig({ env: { DB_PASSWORD_FILE: path } });
    assert.equal(database.password?.reveal(), "hunter2");
    assert.equal(database.passwordFile, path);
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("password and password file in the same place exclude each other", () => {
  const readTextFile = readFrom({
    "/secret": "a",
    ".env": "DB_PASSWORD=b\nDB_PASSWORD_FILE=/secret",
  });
  const both = { DB_PASSWORD: "b", DB_PASSWORD_FILE: "/secret" };
  for (const options of [{ env: both }, { env: {}, envFile: ".env" }]) {
    assert.deepEqual(errorOf({ ...options, readTextFile }).problems, [{
      setting: "DB_PASSWORD_FILE",
      problem: "conflicts with DB_PASSWORD; set only one of them",
      allowed: undefined,
    }]);
  }
});

Deno.test("password and password file win over what is below, whichever it is", () => {
  const readTextFile = readFrom({ "/secret": "from file", ".env": "DB_PASSWORD_FILE=/secret" });
  const envFile = ".env";
  const given = loadConfig({ env: { DB_PASSWORD: "given" }, envFile, readTextFile }).database;
  assert.equal(given.password?.reveal(), "given");
  assert.equal(given.passwordFile, undefined);

  const env = { DATABASE_URL: "postgresql://ann:from_url@db1" };
  assert.equal(
    loadConfig({ env, envFile, readTextFile }).database.password?.reveal(),
    "from_url",
  );
  const file = loadConfig({ env: { PGPASSWORD: "fallback" }, envFile, readTextFile }).database;
  assert.equal(file.password?.reveal(), "from file");
  assert.equal(file.passwordFile, "/secret");
});

Deno.test("a password file must exist and hold a password", () => {
  assert.deepEqual(problemsOf({ DB_PASSWORD_FILE: "/no/such/file" }), [{
    setting: "DB_PASSWORD_FILE",
    problem: "cannot read the file: no such file",
    allowed: undefined,
  }]);
  const readTextFile = readFrom({ "/secret": "\n" });
  assert.deepEqual(errorOf({ env: { DB_PASSWORD_FILE: "/secret" }, readTextFile }).problems, [{
    setting: "DB_PASSWORD_FILE",
    problem: "the file is empty",
    allowed: undefined,
  }]);
});

Deno.test({
  name: "a missing permission of Deno is named with its remedy",
  permissions: { read: false },
  fn: () => {
    assert.deepEqual(problemsOf({ DB_PASSWORD_FILE: "/run/secrets/db_password" }), [{
      setting: "DB_PASSWORD_FILE",
      problem:
        "cannot read the file: Deno has no read permission; start it with --allow-read=<path>",
      allowed: undefined,
    }]);
  },
});
