import assert from "node:assert/strict";
import {
  asMigrator,
  ConfigSource,
  type ConfigSourceOptions,
  loadConfig,
} from "../../../src/config/mod.ts";
import { problemsOf, readFrom } from "./problems_of.ts";

const loadAdmin = (options: ConfigSourceOptions) => new ConfigSource(options).loadAdmin();

const SERVICE = { DB_HOST: "db1", DB_PORT: "6432", DB_USER: "ann", DB_PASSWORD: "hunter2" };

Deno.test("the administrator shares the service's server, and neither its login nor database", () => {
  const admin = loadAdmin({ env: { ...SERVICE, DB_ADMIN_USER: "root", PGPASSWORD: "pg" } });
  assert.deepEqual(admin.hosts, [{ host: "db1", port: 6432 }]);
  assert.equal(admin.user, "root");
  assert.equal(admin.password, undefined);
  assert.equal(admin.database, "postgres");
});

Deno.test("DB_ADMIN_URL changes what it names; the other DB_ADMIN_* settings win over it", () => {
  const admin = loadAdmin({
    env: {
      ...SERVICE,
      DATABASE_URL: "postgresql://bob@db2/ledger",
      DB_ADMIN_URL: "postgresql://root:url@db3:5433/maintenance",
      DB_ADMIN_PASSWORD_FILE: "/secret",
    },
    readTextFile: readFrom({ "/secret": "from the file\n" }),
  });
  assert.deepEqual(admin.hosts, [{ host: "db3", port: 5433 }]);
  assert.equal(admin.user, "root");
  assert.equal(admin.password?.reveal(), "from the file");
  assert.equal(admin.database, "maintenance");
});

Deno.test("without an administrator it is said what to set", () => {
  assert.throws(() => loadAdmin({ env: SERVICE }), /DB_ADMIN_USER: is not set/);
  const both = { DB_ADMIN_USER: "root", DB_ADMIN_PASSWORD: "a", DB_ADMIN_PASSWORD_FILE: "/b" };
  assert.throws(
    () => loadAdmin({ env: both, readTextFile: () => "c" }),
    /DB_ADMIN_PASSWORD_FILE: conflicts with DB_ADMIN_PASSWORD/,
  );
});

Deno.test("the service reads nothing of the administrator", () => {
  const env = { ...SERVICE, DB_ADMIN_URL: "nonsense", DB_ADMIN_PASSWORD_FILE: "/not/there" };
  assert.deepEqual(loadConfig({ env }), loadConfig({ env: SERVICE }));
});

Deno.test("migrations connect as the migrator if there is one, else as the service", () => {
  const alone = loadConfig({ env: SERVICE }).database;
  assert.equal(asMigrator(alone).user, "ann");
  const { database } = loadConfig({
    env: { ...SERVICE, DB_MIGRATION_USER: "mike", DB_MIGRATION_PASSWORD: "secret" },
  });
  const { user, password, hosts } = asMigrator(database);
  assert.deepEqual([user, password?.reveal(), hosts], ["mike", "secret", database.hosts]);
  assert.equal(database.user, "ann");
});

Deno.test("a migrator's password without a migrator is a mistake", () => {
  const [problem, ...others] = problemsOf({ DB_MIGRATION_PASSWORD: "secret" });
  assert.equal(problem?.setting, "DB_MIGRATION_USER");
  assert.deepEqual(others, []);
});

Deno.test("roles are named after the database, unless that is too long", () => {
  const { roles } = loadConfig({ env: { DB_NAME: "ledger", DB_OWNER_ROLE: "boss" } });
  assert.deepEqual(roles, {
    owner: "boss",
    readWrite: "ledger_read_write",
    readOnly: "ledger_read_only",
  });
  const long = "é".repeat(29); // 58 bytes
  assert.throws(() => loadConfig({ env: { DB_NAME: long } }), /DB_READ_ONLY_ROLE.*63 bytes/);
});
