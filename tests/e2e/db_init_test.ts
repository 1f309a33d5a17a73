import assert from "node:assert/strict";
import { runTask } from "../support/command.ts";
import { DebianServer, whyNoDebianServer } from "../support/database_debian_server.ts";
import { FORBIDDEN, initDatabase, initEnv, withLogin } from "../support/database_roles.ts";
import { startPostgres } from "../support/postgres.ts";
import { testUnless } from "../support/requirement.ts";

const ODD_NAMES = {
  DB_NAME: `d'b "\\ é`,
  DB_SCHEMA: `s'chema "\\ $1`,
  DB_USER: `o'r"ole \\x`,
  DB_PASSWORD: `p'w" \\ $1 ü`,
  DB_MIGRATION_USER: `m'i"grator \\`,
  DB_OWNER_ROLE: `o'w"ner \\ x`,
  DB_READ_ONLY_ROLE: `Read'Only"`,
};

Deno.test("db:init makes all, and finds all right the second time, whatever the names", async () => {
  await using server = await startPostgres();
  const env = { ...initEnv(server), ...ODD_NAMES };
  const first = await initDatabase(env);
  assert.match(first.output, /database "d'b ""\\ é": created/);
  assert.match(first.output, /schema "s'chema ""\\ \$1": created/);
  assert.match(first.output, /Applied 000001_restrict_public_schema/);
  assert.match(first.output, /cannot create tables, .*update the audit log/);

  const second = await initDatabase(env);
  assert.doesNotMatch(second.output, /created|owner changed to|member of|Applied|timeouts: set/);
  assert.match(second.output, /privileges, default privileges and timeouts: up to date/);
  assert.match(second.output, /nothing to do: the schema has version \d+/);

  const made = await withLogin(env, "migrator", async (sql) => {
    await sql`create table account (id int)`;
    const [row] = await sql`
      select current_user as user, session_user as login, tableowner as owner, schemaname as schema
      from pg_tables where tablename = 'account'`;
    return row;
  });
  assert.deepEqual(made, {
    user: ODD_NAMES.DB_OWNER_ROLE,
    login: ODD_NAMES.DB_MIGRATION_USER,
    owner: ODD_NAMES.DB_OWNER_ROLE,
    schema: ODD_NAMES.DB_SCHEMA,
  });
  await withLogin(env, "service", async (sql) => {
    await sql`insert into account values (1)`;
    await assert.rejects(sql`drop table account`, FORBIDDEN);
  });
});

Deno.test("a changed password takes effect, and none is in the server's log", async () => {
  const log: string[] = [];
  await using server = await startPostgres({
    settings: { log_statement: "all", log_min_duration_statement: "0" },
    onLog: (line) => log.push(line),
  });
  const env = initEnv(server);
  await initDatabase(env);
  const rotated = { ...env, DB_PASSWORD: "rotated-secret" };
  const { output } = await initDatabase(rotated);
  await withLogin(rotated, "service", (sql) => sql`select 1`);
  await assert.rejects(withLogin(env, "service", (sql) => sql`select 1`), { code: "28P01" });

  await server.stop(); // its log is complete then
  const text = log.join("\n") + output;
  assert.match(text, /provision\.service_verifier/, "statements are logged");
  const passwords = Object.entries({ ...rotated, FIRST_PASSWORD: env.DB_PASSWORD! })
    .filter(([name]) => name.endsWith("_PASSWORD"));
  assert.equal(passwords.length, 4);
  for (const [name, password] of passwords) assert.ok(!text.includes(password), `${name} shows`);
});

Deno.test("db:init without superuser: CREATEROLE and CREATEDB are enough", async () => {
  await using server = await startPostgres();
  await server.admin("create role cloud_admin login createrole createdb password 'cloud-secret'");
  const env = {
    ...initEnv(server),
    DB_ADMIN_USER: "cloud_admin",
    DB_ADMIN_PASSWORD: "cloud-secret",
  };
  await initDatabase(env);
  const { output } = await initDatabase(env);
  assert.match(output, /timeouts: up to date/);
  // The owner migrates when there is no migrator.
  const alone = { DB_MIGRATION_USER: "", DB_MIGRATION_PASSWORD: "" };
  const service = { DB_NAME: "other", DB_USER: "other_service" };
  const other = await initDatabase({ ...env, ...alone, ...service });
  assert.match(other.output, /Migrations, as other_owner\n.*Running/);
});

testUnless(
  whyNoDebianServer(),
  "db:init on PostgreSQL 15, by an administrator of the older rules",
  async () => {
    await using embedded = await startPostgres(); // only for its configuration
    await using server = await DebianServer.start(embedded.config(), {
      hba: ["host all all 127.0.0.1/32 scram-sha-256"],
      setup: ["create role cloud_admin login createrole createdb password 'cloud-secret'"],
    });
    const env = {
      ...initEnv(embedded),
      DB_PORT: String(server.port),
      DB_ADMIN_URL: "postgresql://cloud_admin:cloud-secret@/postgres",
      DB_ADMIN_PASSWORD: "",
    };
    await initDatabase(env);
    const { output } = await initDatabase(env);
    assert.match(output, /timeouts: up to date/);
    await withLogin(env, "service", async (sql) => {
      await assert.rejects(sql`create table account (id int)`, FORBIDDEN);
    });
  },
);

Deno.test("a wrong login is told with its settings and without its password", async () => {
  await using server = await startPostgres();
  const env = initEnv(server);
  const admin = await runTask("db:init", [], {
    env: { ...env, DB_ADMIN_PASSWORD: "not-this-one" },
  });
  assert.equal(admin.code, 1);
  assert.match(admin.output, /password authentication failed.*check .*DB_ADMIN_PASSWORD/);
  assert.ok(!admin.output.includes("not-this-one"));

  const { DB_ADMIN_URL: _, ...nobody } = env;
  const missing = await runTask("db:init", [], { env: nobody });
  assert.equal(missing.code, 2);
  assert.match(missing.output, /DB_ADMIN_USER: is not set/);
});

Deno.test("invalid names are refused before anything is created", async () => {
  await using server = await startPostgres();
  const env = initEnv(server);
  const same = await runTask("db:init", [], { env: { ...env, DB_MIGRATION_USER: env.DB_USER! } });
  assert.equal(same.code, 1);
  assert.match(same.output, /"ledger_service" is used for two roles/);

  const superuser = await runTask("db:init", [], { env: { ...env, DB_USER: "postgres" } });
  assert.equal(superuser.code, 1);
  assert.match(superuser.output, /role postgres is an administrator/);

  const foreign = await runTask("db:init", [], { env: { ...env, DB_PASSWORD: "Ａ-secret" } });
  assert.equal(foreign.code, 1);
  assert.match(foreign.output, /DB_PASSWORD contains characters/);
  assert.deepEqual(await server.admin("select from pg_database where datname = 'ledger'"), []);
});

Deno.test("a database that its one user has made is taken over with all that is in it", async () => {
  await using server = await startPostgres();
  const { database, user, password } = server.database;
  const env = {
    ...initEnv(server),
    DB_NAME: database,
    DB_USER: user,
    DB_PASSWORD: password,
    DB_ADMIN_URL: "postgresql://postgres@/template1",
  };
  const alone = { ...env, DB_MIGRATION_USER: "", DB_MIGRATION_PASSWORD: "" };
  const migrated = await runTask("migrate", ["up"], { env: alone });
  assert.equal(migrated.code, 0, migrated.output);
  await withLogin(env, "service", async (sql) => {
    await sql`create type mood as enum ('calm')`;
    await sql`create table account (id int generated always as identity, mood mood)`;
    await sql`create sequence ticket`;
    await sql`create view happy as select * from account`;
  });
  await initDatabase(env);
  await withLogin(env, "service", async (sql) => {
    await sql`insert into account (mood) values ('calm')`;
    await sql`select * from happy, nextval('ticket')`;
    await assert.rejects(sql`alter table account add column note text`, FORBIDDEN);
    await assert.rejects(sql`alter type mood add value 'angry'`, FORBIDDEN);
    await assert.rejects(
      sql`create or replace function reject_audit_log_change() returns trigger
      language plpgsql as 'begin return new; end'`,
      FORBIDDEN,
    );
  });
});

Deno.test("db:init notices when the service can do more than it should", async () => {
  await using server = await startPostgres();
  const env = initEnv(server);
  await initDatabase(env);
  await server.admin("grant ledger_owner to ledger_service");
  const { code, output } = await runTask("db:init", [], { env });
  assert.equal(code, 1);
  assert.match(output, /ledger_service.* can create tables, .*\\drg/);
});
