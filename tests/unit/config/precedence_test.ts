import assert from "node:assert/strict";
import { loadConfig } from "../../../src/config/mod.ts";
import { errorOf, readFrom } from "./problems_of.ts";

/** Six ways to set the database name, highest precedence first. */
const levels = [
  { title: "the environment", place: "env", line: ["DB_NAME", "from_env"] },
  {
    title: "the environment's DATABASE_URL",
    place: "env",
    line: ["DATABASE_URL", "postgresql:///from_env_url"],
  },
  { title: ".env", place: "file", line: ["DB_NAME", "from_file"] },
  {
    title: "the DATABASE_URL of .env",
    place: "file",
    line: ["DATABASE_URL", "postgresql:///from_file_url"],
  },
  { title: "the environment's PGDATABASE", place: "env", line: ["PGDATABASE", "from_env_pg"] },
  { title: "the PGDATABASE of .env", place: "file", line: ["PGDATABASE", "from_file_pg"] },
] as const;

for (const [index, { title, line }] of levels.entries()) {
  Deno.test(`precedence: ${title} wins over everything below it`, () => {
    const present = levels.slice(index);
    const linesOf = (place: string) => {
      return present.filter((level) => level.place === place).map((level) => level.line);
    };
    const { database } = loadConfig({
      env: Object.fromEntries(linesOf("env")),
      envFile: ".env",
      readTextFile: readFrom({
        ".env": linesOf("file").map((pair) => pair.join("=")).join("\n"),
      }),
    });
    assert.equal(database.database, line[1].replace("postgresql:///", ""));
  });
}

Deno.test("each part is looked up by itself", () => {
  const { database } = loadConfig({
    env: { DATABASE_URL: "postgresql://ann@db1/ledger", DB_USER: "bob", PGPASSWORD: "hunter2" },
    envFile: ".env",
    readTextFile: readFrom({ ".env": "DB_HOST=db2\nDB_PORT=6432  # comment\nDB_SCHEMA='my app'" }),
  });
  assert.deepEqual(database.hosts, [{ host: "db1", port: 6432 }]);
  assert.equal(database.user, "bob");
  assert.equal(database.database, "ledger");
  assert.equal(database.schema, "my app");
  assert.equal(database.password?.reveal(), "hunter2");
});

Deno.test("every PG* variable is a fallback", () => {
  const { database } = loadConfig({
    env: {
      PGHOST: "db1,db2",
      PGPORT: "1,2",
      PGDATABASE: "ledger",
      PGUSER: "ann",
      PGPASSWORD: "hunter2",
      PGSSLMODE: "verify-full",
      PGSSLROOTCERT: "system",
      PGCONNECT_TIMEOUT: "9",
      PGAPPNAME: "app",
      PGOPTIONS: "-c geqo=off",
      PGTARGETSESSIONATTRS: "primary",
    },
  });
  assert.deepEqual(database.hosts, [{ host: "db1", port: 1 }, { host: "db2", port: 2 }]);
  assert.equal(database.database, "ledger");
  assert.equal(database.user, "ann");
  assert.equal(database.password?.reveal(), "hunter2");
  assert.equal(database.tls.mode, "verify-full");
  assert.equal(database.connectTimeoutMs, 9_000);
  assert.equal(database.applicationName, "app");
  assert.equal(database.options, "-c geqo=off");
  assert.equal(database.targetSessionAttrs, "primary");
});

Deno.test("a problem names the variable that was set, and its place", () => {
  const { problems } = errorOf({
    env: { PGPORT: "0", DATABASE_URL: "postgresql:///?sslmode=maybe" },
    envFile: "conf/.env",
    readTextFile: readFrom({ "conf/.env": "LOG_LEVEL=loud" }),
  });
  assert.deepEqual(problems.map(({ setting, problem }) => `${setting}: ${problem}`), [
    'PGPORT: "0" is not from 1 to 65535',
    "DATABASE_URL: its sslmode is not one of the allowed words",
    'LOG_LEVEL: "loud" (in conf/.env) is not one of the allowed words',
  ]);
});

Deno.test("a missing .env is no problem", () => {
  const options = { env: { DB_NAME: "ledger" }, envFile: ".env", readTextFile: readFrom({}) };
  assert.equal(loadConfig(options).database.database, "ledger");
});

Deno.test("an unreadable .env is a problem", () => {
  const readTextFile = () => {
    throw new Deno.errors.NotCapable("Requires read access");
  };
  assert.deepEqual(errorOf({ env: {}, envFile: ".env", readTextFile }).problems, [{
    setting: ".env",
    problem: "cannot read the file: Deno has no read permission; start it with --allow-read=<path>",
    allowed: undefined,
  }]);
});

Deno.test(".env is read from the disk", async () => {
  const envFile = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(envFile, "DB_NAME=ledger\n");
    assert.equal(loadConfig({ env: {}, envFile }).database.database, "ledger");
  } finally {
    await Deno.remove(envFile);
  }
});

Deno.test("typing errors in .env are found, with a suggestion", () => {
  const { problems } = errorOf({
    env: { DB_TYPO: "belongs to other software" },
    envFile: ".env",
    readTextFile: readFrom({
      ".env": [
        "DB_MAX_CONECTIONS=5",
        "SERVER_PROT=80",
        "LOG_LEVLE=info",
        "DATABASE_UR=postgresql://ann:hunter2@db1/ledger",
        "COMPOSE_PROJECT_NAME=treasury",
        "EDITOR=vi",
      ].join("\n"),
    }),
  });
  assert.deepEqual(problems.map(({ setting, problem }) => `${setting} ${problem}`), [
    "DB_MAX_CONECTIONS is not a setting (in .env); did you mean DB_MAX_CONNECTIONS?",
    "SERVER_PROT is not a setting (in .env); did you mean SERVER_PORT?",
    "LOG_LEVLE is not a setting (in .env); did you mean LOG_LEVEL?",
    "DATABASE_UR is not a setting (in .env); did you mean DATABASE_URL?",
  ]);
});
