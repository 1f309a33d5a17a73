import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect } from "node:util";
import { type DatabaseConfig, Secret } from "../../src/config/mod.ts";
import { connect, DatabaseError } from "../../src/database/mod.ts";
import { eventually } from "../support/condition.ts";
import { createDatabase, startPostgres, type TestPostgres } from "../support/postgres.ts";
import { DebianServer, whyNoDebianServer } from "../support/database_debian_server.ts";
import { fakeServer, untilNoSessions, watchUnhandled } from "../support/database_support.ts";
import { testUnless } from "../support/requirement.ts";
import { databaseEnv } from "../support/service.ts";

const APPLICATION_NAME_MAIN = fileURLToPath(
  new URL("../support/application_name_main.ts", import.meta.url),
);

/** A port that nothing listens on. */
function closedPort(): number {
  using server = fakeServer(() => {});
  return server.port;
}

async function failure(config: DatabaseConfig, signal?: AbortSignal): Promise<DatabaseError> {
  try {
    await using connection = await connect(config, { signal });
    throw new Error(`connected as ${connection.backendPid}`);
  } catch (error) {
    assert.ok(error instanceof DatabaseError, inspect(error));
    return error;
  }
}

Deno.test("a session has the configured parameters", async () => {
  await using server = await startPostgres();
  await server.admin('create schema "we""ird" authorization treasury_user');
  const config = server.config({
    schema: 'we"ird',
    applicationName: "treasury",
    options: "-c work_mem=5MB -c statement_timeout=7s",
  });
  await using connection = await connect(config);
  const [row] = await connection.sql`
    select current_schema() as schema, current_setting('application_name') as application,
      current_setting('work_mem') as memory, current_setting('statement_timeout') as timeout,
      pg_backend_pid() as pid
  `;
  const { backendPid: pid } = connection;
  assert.deepEqual(row, {
    schema: 'we"ird',
    application: "treasury",
    memory: "5MB",
    timeout: "7s",
    pid,
  });
});

Deno.test("PG* variables do not reach the session: the configuration has read them", async () => {
  await using server = await startPostgres();
  // In a process of its own: test files that run at the same time share their variables.
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", APPLICATION_NAME_MAIN, JSON.stringify(databaseEnv(server))],
    env: { PGTARGETSESSIONATTRS: "any", PGAPPNAME: "any", PGMAX_LIFETIME: "any" },
  }).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  assert.equal(code, 0, decode(stderr));
  assert.equal(decode(stdout), "treasury-service");
});

Deno.test("a refused login says so, shows no password, and tries no other host", async () => {
  await using server = await startPostgres();
  using second = fakeServer(() => {});
  const wrong = "wrong-password-of-this-test";
  const hosts = [...server.config().hosts, { host: "127.0.0.1", port: second.port }];
  const error = await failure(server.config({ hosts, password: new Secret(wrong) }));

  assert.equal(error.code, "AUTHENTICATION_FAILED");
  assert.equal(error.retryable, false);
  const shown = inspect(error, { depth: 20, showHidden: true, getters: true });
  assert.doesNotMatch(shown, new RegExp(wrong));
  assert.match(shown, /28P01/);
  assert.equal(second.accepted, 0);
});

Deno.test("printing a connection shows no password", async () => {
  await using server = await startPostgres();
  await using connection = await connect(server.config());
  for (const value of [connection, connection.sql, connection.sql`select 1`]) {
    const shown = inspect(value, { depth: 20, showHidden: true, getters: true });
    assert.doesNotMatch(shown, new RegExp(server.database.password));
    assert.doesNotMatch(Deno.inspect(value, { depth: 20 }), new RegExp(server.database.password));
  }
});

Deno.test("the password file is read on every connect", async () => {
  await using server = await startPostgres();
  const passwordFile = await Deno.makeTempFile();
  try {
    const config = server.config({ password: undefined, passwordFile });
    await Deno.writeTextFile(passwordFile, "not yet\n");
    assert.equal((await failure(config)).code, "AUTHENTICATION_FAILED");

    await Deno.writeTextFile(passwordFile, `${server.database.password}\n`);
    await using connection = await connect(config);
    assert.equal(connection.closed, false);
  } finally {
    await Deno.remove(passwordFile);
  }
  const error = await failure(server.config({ passwordFile: "/does/not/exist" }));
  assert.equal(error.code, "AUTHENTICATION_FAILED");
  assert.match(error.message, /DB_PASSWORD_FILE/);
});

Deno.test("a password file that does not answer ends with the time limit, or the signal", async () => {
  await using server = await createDatabase();
  const folder = await Deno.makeTempDir();
  const passwordFile = join(folder, "password");
  try {
    // Nobody writes into it, so reading waits.
    const { success } = await new Deno.Command("mkfifo", { args: [passwordFile] }).output();
    assert.ok(success);
    const config = server.config({ passwordFile, connectTimeoutMs: 100 });
    const error = await failure(config);
    assert.equal(error.code, "CONNECT_TIMEOUT");
    assert.match(error.message, /DB_PASSWORD_FILE/);
    const patient = server.config({ passwordFile });
    assert.equal((await failure(patient, AbortSignal.timeout(20))).code, "ABORTED");
  } finally {
    await Deno.writeTextFile(passwordFile, "");
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("what keeps a session from starting is told apart", async (t) => {
  await using server = await startPostgres({
    settings: { max_connections: "5", superuser_reserved_connections: "3" },
  });
  const cases: readonly (readonly [string, () => DatabaseConfig | Promise<DatabaseConfig>])[] = [
    ["DATABASE_NOT_FOUND", () => server.config({ database: "no_such_database" })],
    ["AUTHENTICATION_FAILED", () => server.config({ user: "no_such_user" })],
    ["AUTHENTICATION_FAILED", () => server.config({ password: undefined })],
    ["CONNECTION_REJECTED", () => server.config({ options: "-c no_such_setting=1" })],
    ["CONNECTION_REJECTED", () => withoutPrivilege(server)],
    ["CONNECTION_REFUSED", () => at(server, closedPort())],
    ["HOST_NOT_FOUND", () => server.config({ hosts: [{ host: "db.invalid", port: 5432 }] })],
  ];
  for (const [code, makeConfig] of cases) {
    await t.step(code, async () => {
      assert.equal((await failure(await makeConfig())).code, code);
    });
  }
  await t.step("TOO_MANY_CONNECTIONS", async () => {
    // A slot can still be another case's, whose session the server has not seen ending.
    await using _first = await eventually(() => connect(server.config()));
    await using _second = await eventually(() => connect(server.config()));
    assert.equal((await failure(server.config())).code, "TOO_MANY_CONNECTIONS");
  });
  await untilNoSessions(server);
});

/** A login that works, of a role that may not connect to the database: a fatal 42501. */
async function withoutPrivilege(server: TestPostgres): Promise<DatabaseConfig> {
  const { database, password } = server.database;
  await server.admin(`create role stranger login password '${password}'`);
  await server.admin(`revoke connect on database ${database} from public`);
  return server.config({ user: "stranger" });
}

function at(server: TestPostgres, ...ports: number[]): DatabaseConfig {
  return server.config({ hosts: ports.map((port) => ({ host: "127.0.0.1", port })) });
}

Deno.test("a server that never answers costs the connect timeout, and no more", async () => {
  await using server = await startPostgres();
  using silent = fakeServer(() => {});
  const config = { ...at(server, silent.port), connectTimeoutMs: 100 };
  const error = await failure(config);
  assert.equal(error.code, "CONNECT_TIMEOUT");
  assert.match(error.message, new RegExp(`127.0.0.1:${silent.port}`));
});

Deno.test("a server that closes at once, or talks nonsense, is tried once", async (t) => {
  await using server = await startPostgres();
  using unhandled = watchUnhandled();
  const replies = [
    ["accept and close", "", "CONNECTION_LOST"],
    ["HTTP", "HTTP/1.1 400 Bad Request\r\n\r\n", "CONNECTION_LOST"],
    ["ready before the login", "Z\0\0\0\x05I", "CONNECTION_LOST"],
    ["an error without fields", "E\0\0\0\x05\0", "CONNECTION_REJECTED"],
  ] as const;
  for (const [name, reply, code] of replies) {
    await t.step(name, async () => {
      using strange = fakeServer(async (connection) => {
        await connection.read(new Uint8Array(1024));
        if (reply !== "") await connection.write(new TextEncoder().encode(reply));
        connection.close();
      });
      const error = await failure(at(server, strange.port));
      assert.equal(error.code, code);
      assert.equal(strange.accepted, 1);
    });
  }
  assert.deepEqual(unhandled.reasons, []);
});

Deno.test("an abort ends a connect that hangs", async () => {
  await using server = await startPostgres();
  const controller = new AbortController();
  using silent = fakeServer(() => controller.abort());
  const error = await failure(at(server, silent.port), controller.signal);
  assert.equal(error.code, "ABORTED");
  assert.equal((await failure(server.config(), AbortSignal.abort())).code, "ABORTED");
});

Deno.test("hosts are tried in order until one accepts a session", async () => {
  await using server = await startPostgres();
  using silent = fakeServer(() => {});
  const { port } = server.database;
  const config = {
    ...at(server, closedPort(), silent.port, port),
    connectTimeoutMs: 4000,
  };
  await using connection = await connect(config);
  assert.equal(connection.closed, false);
  assert.equal(silent.accepted, 1);

  const error = await failure({ ...at(server, closedPort(), silent.port), connectTimeoutMs: 200 });
  assert.equal(error.code, "CONNECT_TIMEOUT");
  assert.match(inspect(error, { depth: 10 }), /ECONNREFUSED/);
});

Deno.test("what the machine itself refuses is an outage: EINVAL and its like", async () => {
  await using server = await startPostgres();
  // A link-local address that does not name its network.
  const error = await failure(server.config({ hosts: [{ host: "fe80::1", port: 5432 }] }));
  assert.equal(error.code, "HOST_UNREACHABLE");
  assert.ok(error.isOutage && error.retryable);
  assert.ok(error.cause instanceof Error, "the reason is kept");
  assert.equal(error.message, error.cause.message);
  const lookup = () => Promise.reject(Object.assign(new Error("bad name"), { code: "EINVAL" }));
  const config = server.config({ hosts: [{ host: "db.example", port: 5432 }] });
  await assert.rejects(connect(config, { lookup }), {
    code: "HOST_UNREACHABLE",
    message: "bad name",
  });
});

Deno.test("every address of a name is tried", async () => {
  await using server = await startPostgres();
  // The server listens on 127.0.0.1 only; localhost is often ::1 first.
  const hosts = [{ host: "localhost", port: server.database.port }];
  await using connection = await connect(server.config({ hosts }));
  assert.equal(connection.closed, false);
});

testUnless(
  whyNoDebianServer(),
  "target_session_attrs picks the server with the wanted role",
  pickServers,
);

async function pickServers(t: Deno.TestContext): Promise<void> {
  await using primary = await startPostgres();
  const hba = ["host all all 127.0.0.1/32 trust"];
  const setup = ["create role treasury_user login", "create database treasury_db"];
  await using standby = await DebianServer.start(primary.config(), { hba, setup, standby: true });
  const port = { primary: primary.database.port, standby: standby.port };
  const config = at(primary, port.standby, port.primary);

  const expected = {
    "prefer-read-write": "primary",
    "any": "standby", // the first of the list
    "read-write": "primary",
    "read-only": "standby",
    "primary": "primary",
    "standby": "standby",
    "prefer-standby": "standby",
  } as const;
  for (const [attrs, role] of Object.entries(expected)) {
    await t.step(attrs, async () => {
      const targetSessionAttrs = attrs as keyof typeof expected;
      await using connection = await connect({ ...config, targetSessionAttrs });
      assert.equal((await connection.role()).inRecovery, role === "standby");
    });
  }

  await t.step("prefer-standby takes a primary when there is nothing else", async () => {
    const only = at(primary, port.primary);
    await using connection = await connect({ ...only, targetSessionAttrs: "prefer-standby" });
    assert.equal((await connection.role()).inRecovery, false);
  });
  await t.step("prefer-read-write takes a standby when there is nothing else", async () => {
    const { hosts } = at(primary, port.standby, closedPort());
    await using connection = await connect({ ...primary.config(), hosts });
    assert.equal((await connection.role()).inRecovery, true);
  });
  await t.step("of the servers that are only looked at, no session is left", async () => {
    await using _connection = await connect(config);
    await eventually(async () => {
      await using look = await connect({ ...config, targetSessionAttrs: "standby" });
      const rows = await look.sql`select pid from pg_stat_activity where usename = ${config.user}`;
      assert.equal(rows.length, 1, "but the one that looks");
      return true;
    });
  });
  await t.step("no server has the role", async () => {
    const error = await failure({ ...at(primary, port.standby), targetSessionAttrs: "primary" });
    assert.equal(error.code, "WRONG_SERVER_ROLE");
    assert.match(error.message, /target_session_attrs/);
  });
  await t.step("a primary whose transactions are read-only is not read-write", async () => {
    await primary.admin("alter database treasury_db set default_transaction_read_only = on");
    const only = at(primary, port.primary);
    const error = await failure({ ...only, targetSessionAttrs: "read-write" });
    assert.equal(error.code, "WRONG_SERVER_ROLE");
    await using connection = await connect({ ...only, targetSessionAttrs: "read-only" });
    assert.deepEqual(await connection.role(), { inRecovery: false, readOnly: true });
  });
}
