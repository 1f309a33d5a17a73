import assert from "node:assert/strict";
import { runTask } from "../support/command.ts";
import { initDatabase, initEnv, withLogin } from "../support/database_roles.ts";
import { startPostgres } from "../support/postgres.ts";

Deno.test("db:reset asks, and makes the database anew when told to", async () => {
  await using server = await startPostgres();
  const env = initEnv(server);
  await initDatabase(env);
  await withLogin(env, "migrator", (sql) => sql`create table precious ()`);
  const isThere = async () => {
    const rows = await withLogin(env, "migrator", (sql) =>
      sql`
        select from pg_tables where tablename = 'precious'`);
    return rows.length === 1;
  };
  for (const input of ["", "no\n"]) {
    const { code, output } = await runTask("db:reset", [], { env, input });
    assert.equal(code, 1, output);
    assert.match(output, /Drop the database ledger .*\[y\/N\]\nNothing was dropped/);
    assert.ok(await isThere());
  }

  await withLogin(env, "service", async (sql) => {
    await sql`select 1`; // a session does not stop it
    const { code, output } = await runTask("db:reset", [], { env, input: "y\n" });
    assert.equal(code, 0, output);
    assert.match(output, /Dropped ledger.*database ledger: created.*is ready/s);
  });
  assert.ok(!await isThere());
  const { code } = await runTask("db:reset", ["--yes"], { env });
  assert.equal(code, 0);
});

Deno.test("commands for development leave other machines alone unless told otherwise", async () => {
  // TEST-NET-1 (RFC 5737): nothing answers there, and nothing may be asked.
  const env = {
    DB_HOST: "localhost,192.0.2.1",
    DB_ADMIN_USER: "postgres",
    DB_CONNECT_TIMEOUT: "0.2",
  };
  for (const task of ["db:reset", "db:seed"]) {
    const { code, output } = await runTask(task, [], { env });
    assert.equal(code, 2, output);
    assert.match(output, /192\.0\.2\.1 may be another machine.*--remote/);
  }
});

Deno.test("db:seed can run again, and its changes are audited once", async () => {
  await using server = await startPostgres();
  const env = initEnv(server);
  await initDatabase(env);
  for (let run = 0; run < 2; run++) {
    const { code, output } = await runTask("db:seed", [], { env });
    assert.equal(code, 0, output);
    assert.equal(output, "demo_currency has 6 rows, with 6 entries in audit_log.\n");
  }
  await withLogin(env, "service", async (sql) => {
    await sql`update demo_currency set name = 'Franc' where code = 'CHF'`;
  });
  const { output } = await runTask("db:seed", [], { env });
  assert.match(output, /6 rows, with 8 entries in audit_log/);
});

Deno.test("db:status says what is there, and fails when something needs a person", async () => {
  await using server = await startPostgres({ settings: { max_connections: "20" } });
  const env = { ...initEnv(server), DB_MAX_CONNECTIONS: "5" };
  await initDatabase(env);
  const well = await runTask("db:status", [], { env });
  assert.equal(well.code, 0, well.output);
  assert.match(well.output, /^Server +PostgreSQL 16.*ledger_service on ledger.*without TLS$/m);
  assert.match(well.output, /^Access +read-write$/m);
  assert.match(well.output, /^Connections +\d+ of 20 open, 3 reserved; .*up to 5 /m);
  assert.match(well.output, /^Size .*audit_log/m);
  assert.match(well.output, /^Migrations +version \d+, all applied$/m);

  await withLogin(
    env,
    "admin",
    (sql) => sql`alter database ledger set default_transaction_read_only = on`,
  );
  const readOnly = await runTask("db:status", [], { env: { ...env, DB_MAX_CONNECTIONS: "18" } });
  assert.equal(readOnly.code, 1, readOnly.output);
  assert.match(readOnly.output, /^Problem: The database is read-only$/m);
  assert.match(readOnly.output, /^Problem: DB_MAX_CONNECTIONS is 18, .* allows only 17$/m);

  const wrong = await runTask("db:status", [], { env: { ...env, DB_PASSWORD: "not-this-one" } });
  assert.equal(wrong.code, 1);
  assert.match(wrong.output, /check DB_USER and DB_PASSWORD/);

  await server.stop();
  const down = await runTask("db:status", [], { env });
  assert.equal(down.code, 1);
  assert.match(down.output, /refuse|ECONNREFUSED/i);
});

Deno.test("db:status says how many migrations are to be applied", async () => {
  await using server = await startPostgres();
  const { database, user, password } = server.database;
  const env = { ...initEnv(server), DB_NAME: database, DB_USER: user, DB_PASSWORD: password };
  const { code, output } = await runTask("db:status", [], { env });
  assert.equal(code, 1, output);
  assert.match(output, /^Migrations +no version, \d+ pending: run deno task migrate up$/m);
});

Deno.test("db:psql passes everything to psql in its environment, and nothing as an argument", async () => {
  const directory = await Deno.makeTempDir();
  try {
    // Shows what it was given instead of connecting.
    await Deno.writeTextFile(`${directory}/psql`, '#!/bin/sh\necho "$@"\nenv\n', { mode: 0o755 });
    const env = {
      DB_HOST: "db1,db2",
      DB_PORT: "6432",
      DB_NAME: "odd name",
      DB_USER: "ann",
      DB_PASSWORD: "psql-secret",
      DB_SCHEMA: "my schema",
      DB_SSL_MODE: "require",
      DB_MIGRATION_USER: "mike",
      PATH: `${directory}:/usr/bin:/bin`,
    };
    const { code, output } = await runTask("db:psql", ["--", "-c", "select 1"], { env });
    assert.equal(code, 0, output);
    assert.equal(output.split("\n")[0], "-c select 1");
    for (
      const line of [
        "PGHOST=db1,db2",
        "PGPORT=6432,6432",
        "PGDATABASE=odd name",
        "PGUSER=ann",
        "PGPASSWORD=psql-secret",
        'PGOPTIONS=-c search_path="my\\ schema"',
        "PGSSLMODE=require",
      ]
    ) assert.ok(output.split("\n").includes(line), `${line} is not in ${output}`);

    const migrator = await runTask("db:psql", ["--as-migrator"], { env });
    assert.match(migrator.output, /^PGUSER=mike$/m);
    assert.doesNotMatch(migrator.output, /psql-secret/);

    const absent = await runTask("db:psql", [], { env: { ...env, PATH: "/nowhere" } });
    assert.equal(absent.code, 1);
    assert.match(absent.output, /psql is not installed/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
